"""tools/analysis_tools/detector_memory.py, run in this process and those that it starts."""

import json
from pathlib import Path
from types import ModuleType

import pytest
from cli import load_tool

DETECTOR = 'configs/quickstart/mask-rcnn_vitaev2-vsa-nano_digit-scenes.py'
CLASSIFIER = 'configs/quickstart/vitaev2-vsa-nano_digit-scenes.py'


@pytest.fixture(scope='module')
def tool() -> ModuleType:
    return load_tool('analysis_tools/detector_memory')


@pytest.mark.slow
def test_checkpointing_holds_less(
    tool: ModuleType, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    out = tmp_path / 'memory.json'
    assert tool.main([DETECTOR, '--size', '384x512', '--device', 'cpu', '--out', str(out)]) == 0
    record = json.loads(out.read_text())
    assert record['size'] == [384, 512]
    assert record['with_cp_mib'] < 0.9 * record['plain_mib']
    printed = capsys.readouterr().out
    assert '2 images of 384 x 512' in printed
    assert f'{record["with_cp_mib"]:.0f}' in printed


def test_a_classifier_is_refused(tool: ModuleType, capsys: pytest.CaptureFixture) -> None:
    assert tool.main([CLASSIFIER]) == 1
    assert f'{CLASSIFIER} is no config of a detector' in capsys.readouterr().err


def test_bad_arguments(tool: ModuleType, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        tool.main([DETECTOR, '--size', '512,512'])
    assert 'height x width' in capsys.readouterr().err
