"""Cells that differ in weights and drop path alone are compiled once, others not at all."""

import pytest
import torch
from helpers.archs import build, with_regressors
from torch import nn
from torch._dynamo.testing import CompileCounter

from mmvsa.deployment import compile_cells


@pytest.mark.parametrize(
    ('case', 'arch', 'options', 'kinds'),
    # Blocks of stages that have several, of each kind of attention.
    [
        ('vitaev2', dict(depths=(1, 3, 2, 1)), dict(out_indices=(2,)), 2),
        ('swin-vsa', dict(depths=(2, 2, 1)), dict(out_indices=(1,)), 2),
        ('rvsa', dict(depth=6), {}, 2),
    ],
)
def test_cells_of_one_shape_share_what_is_compiled(case, arch, options, kinds):
    torch.compiler.reset()
    backbone = with_regressors(build(case, arch, drop_path_rate=0.3, **options)).eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = backbone(x)
        counter = CompileCounter()
        assert compile_cells(backbone, backend=counter) is backbone
        for out, wanted in zip(backbone(x), expected, strict=True):
            torch.testing.assert_close(out, wanted)
    assert counter.frame_count == kinds < len(backbone.layer_modules())


def test_of_a_whole_model_the_backbone():
    torch.compiler.reset()
    model = nn.Module()
    model.backbone = build('swin-vsa', out_indices=(1,)).eval()
    counter = CompileCounter()
    compile_cells(model, backend=counter)
    with torch.no_grad():
        model.backbone(torch.randn(1, 3, 32, 32))
    assert counter.frame_count == 1


def test_another_model_is_refused():
    with pytest.raises(TypeError, match='takes a model of mmvsa, got Linear'):
        compile_cells(nn.Linear(1, 1))
