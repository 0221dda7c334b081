"""Layer-wise learning rates."""

import pytest
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import nn

from mmvsa.models import RVSA

ARCH = dict(embed_dims=16, depth=3, num_heads=2, patch_size=4, window_size=4)
RULES = dict(
    layer_decay_rate=0.5,
    norm_decay_mult=0.0,
    bias_decay_mult=0.0,
    flat_decay_mult=0.0,
    custom_keys={'pos_embed': dict(decay_mult=0.0)},
)


class Model(nn.Module):
    """A backbone with a head that is no classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = RVSA(ARCH, img_size=16, out_type='pyramid')
        self.decode_head = nn.Linear(16, 3)


def groups(model: nn.Module, constructor: str) -> dict[str, tuple[float, float]]:
    """(learning rate, weight decay) of each parameter."""
    wrapper = build_optim_wrapper(
        model,
        dict(
            constructor=constructor,
            optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.1),
            paramwise_cfg=RULES,
        ),
    )
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(group['params'][0])]: (group['lr'], group['weight_decay'])
        for group in wrapper.optimizer.param_groups
    }


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('backbone.patch_embed.projection.weight', (0.5**4, 0.1)),
        ('backbone.pos_embed', (0.5**4, 0.0)),
        ('backbone.blocks.0.attn.qkv.weight', (0.5**3, 0.1)),
        ('backbone.blocks.0.attn.qkv.bias', (0.5**3, 0.0)),
        ('backbone.blocks.2.mlp.fc1.weight', (0.5, 0.1)),
        ('backbone.blocks.2.norm1.weight', (0.5, 0.0)),
        ('backbone.norm.weight', (1.0, 0.0)),
        ('backbone.pyramid.up2.weight', (1.0, 0.1)),
        ('decode_head.weight', (1.0, 0.1)),
    ],
)
def test_rates_by_hand(name: str, expected: tuple[float, float]) -> None:
    """Blocks from 0 to 2 between the patch embedding and the head, each half the next."""
    assert groups(Model(), 'mmvsa.LayerDecayOptimWrapperConstructor')[name] == expected


def test_agrees_with_mmpretrain() -> None:
    """Of a classifier, which mmpretrain's constructor takes."""
    from mmpretrain.registry import MODELS

    init_default_scope('mmpretrain')
    backbone = dict(type='mmvsa.RVSA', arch=ARCH, img_size=16, out_type='avg_featmap')
    head = dict(type='LinearClsHead', num_classes=2, in_channels=16)
    model = MODELS.build(dict(type='ImageClassifier', backbone=backbone, head=head))
    found = groups(model, 'mmvsa.LayerDecayOptimWrapperConstructor')
    assert found == groups(model, 'LearningRateDecayOptimWrapperConstructor')
    assert len({rate for rate, _ in found.values()}) == 5
