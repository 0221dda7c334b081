import json
from pathlib import Path

import benchmark_attention as tool
import pytest
import torch


@pytest.fixture(autouse=True)
def tiny_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, 'STAGES', {'tiny': (14, 7, 16, 2)})


def test_modules_and_what_trains() -> None:
    modules = tool.build_modules('tiny', None, ['auto', 'torch'])
    assert list(modules) == ['vsa-auto', 'vsa-torch', 'window', 'products', 'linear']
    for name, module in modules.items():
        x = torch.randn(2, 14, 7, 16, requires_grad=True)
        with torch.no_grad():
            assert module(x).numel() == x.numel(), name
        tool.run_once(module, x, 'forward', None)
        assert x.grad is None
        tool.run_once(module, x, 'backward', torch.bfloat16)
        assert all(p.grad is not None for p in [x, *module.parameters()]), name


def test_command_line(tmp_path: Path) -> None:
    out = tmp_path / 'out.json'
    arguments = ['--batch-size', '2', '--rounds', '1', '--device', 'cpu', '--out', str(out)]
    assert tool.main([*arguments, '--tasks', 'forward']) == 0
    rows = json.loads(out.read_text())['results']
    assert [row['candidate'] for row in rows] == ['vsa', 'window', 'products', 'linear']
    assert [row['x baseline'] for row in rows if row['candidate'] == 'window'] == [1.0]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--backends', 'none'], "'none'"),
        (['--baseline', 'official'], "'official' is not one of"),
        (['--official', 'nowhere'], 'no checkout of ViTAE-VSA'),
    ],
)
def test_wrong_arguments_end_with_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as end:
        tool.parse_args(arguments)
    assert end.value.code == 2 and message in capsys.readouterr().err
