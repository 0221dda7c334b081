"""The GPU benchmark, walked through on a CPU so that no minute on a GPU is lost to an error."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

TOOL = Path(__file__).resolve().parents[3] / 'tools/benchmarks/gpu.py'


def run(out, *arguments, blocked=()):
    """Run the tool through Triton's interpreter, without the modules ``blocked``."""
    pytest.importorskip('triton')
    code = (
        f'import runpy, sys; sys.modules.update({dict.fromkeys(blocked)});'
        f'sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name="__main__")'
    )
    command = [sys.executable, '-c', code, str(TOOL), '--device', 'cpu', '--out', str(out)]
    environment = {**os.environ, 'TRITON_INTERPRET': '1'}
    done = subprocess.run(
        [*command, *arguments], env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(out.read_text())['results']


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('gpu_benchmark', TOOL)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_every_section_gives_figures(tmp_path):
    rows = run(tmp_path / 'gpu.json')
    failed = [row for row in rows if 'failed' in row]
    # The op of mmcv that the attention section asks for is that of CUDA.
    assert [row.get('candidate') for row in failed] == ['mmcv'], failed
    assert [row['section'] for row in rows if row['section'] == 'check'] and all(
        row['passed'] for row in rows if row['section'] == 'check'
    )
    assert {row['section'] for row in rows} == {'check', 'attention', 'model', 'kernels', 'limits'}
    candidates = {row.get('candidate') for row in rows if 'both_us' in row}
    assert candidates == {'triton', 'official path', 'plain windows', 'torch'}


def test_without_mmengine_operators_are_measured_and_the_model_says_why(tmp_path):
    blocked = ('mmengine', 'mmcv', 'timm')
    rows = run(tmp_path / 'gpu.json', '--sections', 'model', 'limits', blocked=blocked)
    (model,) = (row for row in rows if row['section'] == 'model')
    assert 'mmengine' in model['failed']
    assert next(row['what'] for row in rows if row['section'] == 'limits') == 'copy'


def test_budget_that_is_spent_skips_the_rest_by_name(tmp_path):
    rows = run(tmp_path / 'gpu.json', '--sections', 'limits', '--budget', '0')
    assert [row['failed'] for row in rows] == ['TimeoutError: the budget of 0 s is spent']


def test_official_path_computes_the_same_attention(tool):
    stage = tool.Stage((9, 12), 2, 8, window_size=4, batch_size=2, device='cpu')
    with torch.no_grad():
        expected, found = stage.backend('torch'), stage.official_path()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_homography_gives_the_points(tool):
    stage = tool.Stage((9, 12), 2, 8, window_size=4, batch_size=2, device='cpu')
    windows = stage.windows()
    grid = windows.geometry.local_grid(torch.device('cpu'), torch.float32)
    a, _, c, _, e, f, _, _ = windows.homography.unsqueeze(-1).unbind(-2)
    centers = windows.geometry.centers(torch.device('cpu'), torch.float32)[:, :, None, None]
    moved = torch.stack((a * grid[:, 0] + c, e * grid[:, 1] + f), -1)
    torch.testing.assert_close(centers + moved, windows.points)


def test_missing_gpu_is_one_line(monkeypatch, capsys, tool):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(SystemExit) as stop:
        tool.parse_args([])
    assert stop.value.code == 2
    assert 'torch finds no CUDA GPU' in capsys.readouterr().err
