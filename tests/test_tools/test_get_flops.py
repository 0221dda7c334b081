"""tools/analysis_tools/get_flops.py, run in this process."""

from types import ModuleType

import pytest
from cli import ROOT, load_tool

DETECTOR = 'configs/quickstart/mask-rcnn_vitaev2-vsa-nano_digit-scenes.py'
SEGMENTOR = 'configs/quickstart/fcn_vitaev2-vsa-nano_digit-scenes.py'


@pytest.fixture(scope='module')
def tool() -> ModuleType:
    return load_tool('analysis_tools/get_flops')


def rows(output: str) -> dict[str, tuple[float, float]]:
    """(parameters, multiply-adds) of each part."""
    lines = [line.rsplit(None, 2) for line in output.splitlines()[-30:]]
    table = [line for line in lines if len(line) == 3 and line[2].replace('.', '').isdigit()]
    return {name.strip(): (float(size), float(work)) for name, size, work in table}


def test_a_name(tool: ModuleType, capsys: pytest.CaptureFixture) -> None:
    assert tool.main(['vitae-tiny', '--shape', '64', '96']) == 0
    table = rows(capsys.readouterr().out)
    assert table['(whole)'][0] == 4.883
    assert {'backbone.stages.0', 'head'} <= set(table)


@pytest.mark.parametrize(
    ('config', 'counted', 'idle'),
    [(DETECTOR, 'neck', 'roi_head'), (SEGMENTOR, 'decode_head', None)],
)
def test_a_config(
    tool: ModuleType,
    capsys: pytest.CaptureFixture,
    config: str,
    counted: str,
    idle: str | None,
) -> None:
    assert tool.main([str(ROOT / config), '--shape', '128', '128']) == 0
    table = rows(capsys.readouterr().out)
    assert table[counted][1] > 0
    assert idle is None or table[idle][1] == 0 < table[idle][0]
    assert table['backbone.stages.3'][1] > 0 and '(rest)' not in table


def test_an_unknown_name_is_one_line(tool: ModuleType, capsys: pytest.CaptureFixture) -> None:
    assert tool.main(['vitaev2-s-vsaa']) == 1
    error = capsys.readouterr().err
    assert error.startswith('error: unknown model') and error.count('\n') == 1
