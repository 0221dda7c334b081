"""Multiply-adds against layers worked out by hand, and the command line."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from helpers.cli import ROOT, load_tool
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmvsa.models import SampledWindowAttention

tool = load_tool('analysis_tools/get_flops')
DETECTOR = ROOT / 'configs/quickstart/mask-rcnn_vitaev2-vsa-nano_digit-scenes.py'
SEGMENTOR = ROOT / 'configs/quickstart/fcn_vitaev2-vsa-nano_digit-scenes.py'


def test_sampling() -> None:
    """2 x 9 points of 8 channels with 4 neighbors each."""
    with FlopCounterMode(display=False, custom_mapping=tool.SAMPLING) as counter:
        F.grid_sample(torch.randn(2, 8, 5, 6), torch.rand(2, 3, 3, 2), align_corners=False)
    assert counter.get_total_flops() == 2 * 4 * 8 * 2 * 9


class Image(nn.Module):
    """Attention on an image, as the parts of a model see one."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 1, bias=False)
        self.attn = SampledWindowAttention(12, 3, window_size=4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attn(self.patches(x).permute(0, 2, 3, 1))


def test_attention() -> None:
    """Projections, the regressor, samples of k and v at 2 x 3 windows, attention."""
    patches, attention, whole = tool.count_parts(Image(), (8, 12))
    pixels, windows = 96, 6
    assert patches == ('patches', 36, pixels * 36)
    projections = pixels * 12 * (36 + 12)
    regressor = windows * 12 * (3 * 4)
    samples = pixels * 24 * 4
    products = windows * 3 * 16 * 16 * (4 + 4)
    assert attention.multiply_adds == projections + regressor + samples + products
    assert whole.multiply_adds == patches.multiply_adds + attention.multiply_adds


def test_parts_add_up() -> None:
    model = tool.build('swin-t-vsa')
    parameters = sum(p.numel() for p in model.parameters())
    *parts, whole = tool.count_parts(model, (64, 96))
    stages = [f'backbone.stages.{i}' for i in range(4)]
    assert [p.name for p in parts] == ['backbone.patch_embed', *stages, 'backbone.norm3', 'head']
    assert parts[-1] == ('head', 768 * 1000 + 1000, 768 * 1000)
    assert whole.parameters == parameters == sum(part.parameters for part in parts)
    assert whole.multiply_adds == sum(part.multiply_adds for part in parts)


@pytest.mark.parametrize(('name', 'official'), [('vitaev2-s', 5.7e9), ('swin-t-vsa', 4.6e9)])
def test_known_models(name: str, official: float) -> None:
    counted = tool.count_parts(tool.build(name), (224, 224))[-1].multiply_adds
    assert counted == pytest.approx(official, rel=0.02)


@pytest.mark.parametrize(
    ('config', 'counted', 'idle'),
    [(DETECTOR, 'neck', 'roi_head'), (SEGMENTOR, 'decode_head', None)],
)
def test_dense_configs(config: Path, counted: str, idle: str | None) -> None:
    parts = {part.name: part for part in tool.count_parts(tool.build(str(config)), (128, 128))}
    assert parts[counted].multiply_adds > 0 < parts['backbone.stages.3'].multiply_adds
    assert idle is None or parts[idle].multiply_adds == 0 < parts[idle].parameters
    assert '(rest)' not in parts


def test_command_line(capsys: pytest.CaptureFixture) -> None:
    tool.main(['vitae-tiny', '--shape', '64', '96'])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[3] for row in rows if '(whole)' in row] == ['4.883']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['vitaev2-s-vsaa'], "error: unknown model 'vitaev2-s-vsaa'"),
        (['vitae-tiny', '--shape', '0', '224'], '--shape must be positive'),
    ],
)
def test_wrong_arguments_end_with_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as end:
        tool.main(arguments)
    assert end.value.code == 2 and message in capsys.readouterr().err
