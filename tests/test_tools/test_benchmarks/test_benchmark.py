import json
from pathlib import Path

import benchmark
import candidates
import pytest
from helpers.cli import ROOT
from torch import nn

DETECTOR = ROOT / 'configs/quickstart/mask-rcnn_vitaev2-vsa-nano_digit-scenes.py'
QUICK = ('--batch-size', '2', '--device', 'cpu', '--rounds', '2', '--tasks', 'forward')


@pytest.fixture
def small_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(work: candidates.Workload) -> nn.Module:
        if work.candidate.name == 'broken':
            raise RuntimeError('out of order')
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1000))

    monkeypatch.setitem(candidates._BUILDERS, 'timm', build)


@pytest.mark.usefixtures('small_model')
def test_candidates_and_sizes(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / 'out.json'
    arguments = ['timm:a', 'timm:b@bf16', '--baseline', 'timm:b@bf16', '--sizes', '16', '8x32']
    assert benchmark.main([*arguments, *QUICK, '--no-memory', '--out', str(out)]) == 0
    record = json.loads(out.read_text())
    found = [(row['candidate'], row['size']) for row in record['results']]
    assert found == [(name, size) for size in ('16x16', '8x32') for name in arguments[:2]]
    assert [row['x baseline'] for row in record['results'][1::2]] == [1.0, 1.0]
    assert record['settings']['baseline'] == 'timm:b@bf16'
    assert '8x32' in capsys.readouterr().out


@pytest.mark.usefixtures('small_model')
def test_what_fails_is_reported_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / 'out.json'
    arguments = ['timm:broken', 'timm:a', *QUICK, '--no-memory', '--out', str(out)]
    assert benchmark.main(arguments) == 1
    (row,) = json.loads(out.read_text())['results']
    assert (row['candidate'], row['x baseline']) == ('timm:a', '-')
    error = 'timm:broken failed and is left out: RuntimeError: out of order'
    assert error in capsys.readouterr().err


@pytest.mark.slow
def test_checkpointing_lowers_peak_memory(tmp_path: Path) -> None:
    out = tmp_path / 'out.json'
    arguments = [str(DETECTOR), f'{DETECTOR}@with_cp', '--sizes', '256x384', '--batch-size', '2']
    arguments += ['--rounds', '1', '--tasks', 'backward', '--device', 'cpu', '--out', str(out)]
    assert benchmark.main(arguments) == 0
    plain, checkpointed = (row['peak MiB'] for row in json.loads(out.read_text())['results'])
    assert 0 < checkpointed < 0.9 * plain


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['timm:a', '--baseline', 'timm:b'], "baseline 'timm:b' is not one of"),
        (['timm:a', '--sizes', '12x'], 'height x width'),
        (['hub:a'], 'unknown source'),
        (['--rounds', '0'], '--rounds must be at least 1'),
        (['--clock', 'cpu', '--device', 'cuda'], 'use --clock wall'),
    ],
)
def test_wrong_arguments_end_with_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as end:
        benchmark.parse_args(arguments)
    assert end.value.code == 2 and message in capsys.readouterr().err
