import re

import pytest
from cli import run_tool

TOOL = 'analysis_tools/data_loading'


def test_imagenet_pipeline(capsys):
    arguments = ['--rounds', '1', '--repeats', '1', '--step-ms', '200', '--gpus', '2']
    with pytest.raises(SystemExit) as end:
        run_tool(TOOL, *arguments, '--decoders', 'cv2', 'pillow')
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert '4 files' in out and 'cv2, pillow' in out
    per_gpu, both = re.search(r'pillow, pillow: (\d+) workers per GPU, (\d+) for 2', out).groups()
    assert int(both) == 2 * int(per_gpu) > 0


def test_a_folder_without_images(tmp_path):
    with pytest.raises(SystemExit, match='no .jpg or .jpeg file below'):
        run_tool(TOOL, '--images', tmp_path)


def test_a_step_takes_time(capsys):
    with pytest.raises(SystemExit):
        run_tool(TOOL, '--step-ms', '0')
    assert '--step-ms must be positive' in capsys.readouterr().err
