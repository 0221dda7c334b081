"""The tables of the pages: up to date, and single cells by hand."""

import json
from pathlib import Path

import pytest
from helpers.cli import ROOT, load_tool

writer = load_tool('documentation/write_tables')
tables = load_tool('documentation/markdown_tables')
performance = load_tool('documentation/performance')
comparison = load_tool('documentation/comparison')


def test_every_page_is_up_to_date() -> None:
    assert writer.main(['--check']) == 0


def test_a_page_that_is_not_is_named_and_written(tmp_path: Path, monkeypatch, capsys) -> None:
    page = tmp_path / 'page.md'
    page.write_text('old')
    monkeypatch.setattr(writer, 'ROOT', tmp_path)
    monkeypatch.setattr(writer, 'PAGES', {'page.md': lambda page: 'new'})
    assert writer.main(['--check']) == 1
    assert 'page.md is out of date' in capsys.readouterr().err
    assert page.read_text() == 'old'
    assert writer.main([]) == 0
    assert page.read_text() == 'new'


def test_a_page_without_marks_is_an_error() -> None:
    with pytest.raises(ValueError, match='begin files'):
        tables.replace_block('# Checkpoints\n', 'files', '')


def test_a_table() -> None:
    table = tables.format_table(('a', 'b'), [('x', '1'), ('', '2')], right_from=1)
    assert table == '| a | b |\n| --- | ---: |\n| x | 1 |\n| | 2 |\n'


def test_every_record_is_on_a_page() -> None:
    records = {path.stem for path in (ROOT / 'docs/results').glob('*.json')}
    shown = {record for record, _ in performance.TABLES.values()}
    assert records == shown | {comparison.RECORD}
    for record in records:
        content = json.loads((ROOT / f'docs/results/{record}.json').read_text())
        assert content['machine'] and content['results'], record


def test_labels() -> None:
    assert performance.label('vitaev2-s-vsa@openvino,int8') == '`vitaev2-s-vsa@openvino,int8`'
    assert performance.label('official:ViTAEv2_VSA_S') == 'official VSA-S'
    swin = 'timm:swin_tiny_patch4_window7_224@compile'
    assert performance.label(swin) == "timm's Swin-T, compile"


def test_tables_of_performance_by_hand() -> None:
    rows = [
        {'size': '8x16', 'task': task, 'ms': ms, 'ms/Mpx': 10.0 * ms, 'peak MiB': 7}
        for task, ms in (('forward', 1.2), ('backward', 3.6))
    ]
    assert performance.sizes(rows).splitlines()[-1] == '| 8 x 16 | 1 | 12 | 7 | 4 | 36 | 7 |'
    rows = [
        {'candidate': 'official:ViTAEv2_VSA_S', 'peak MiB': 200},
        {'candidate': 'vitaev2-s-vsa', 'peak MiB': 120},
    ]
    assert performance.memory(rows).splitlines()[-1] == '| `vitaev2-s-vsa` | 120 | 0.60 |'


def test_scores_by_hand() -> None:
    """What has one run has no deviation, and what has none a dash."""

    def row(attention: str, size: int, mean: float, **others: float) -> dict:
        row = {'size': size, 'metric': 'mIoU', 'attention': attention, 'mean': mean}
        return {**row, 'deviation': None, 'difference': None, 'interval': None, **others}

    rows = [
        row('window', 384, 20.0),
        row('vsa', 384, 20.5, difference=0.5),
        row('window', 256, 30.0, deviation=1.0),
        row('vsa', 256, 29.0, deviation=0.44, difference=-0.04, interval=0.75),
        row('rvsa', 256, 31.0, difference=1.0),
    ]
    assert comparison.scores(rows).splitlines() == [
        '| metric | `window` | `vsa` | `rvsa` | `vsa` - `window` | `rvsa` - `window` |',
        '| --- | ---: | ---: | ---: | ---: | ---: |',
        '| mIoU, 256 px | 30.0 ± 1.0 | 29.0 ± 0.4 | 31.0 | +0.0 ± 0.8 | +1.0 |',
        '| mIoU, 384 px | 20.0 | 20.5 | - | +0.5 | - |',
    ]
