"""What all backbones share: the depth of layers and the learning rates that follow it."""

import pytest
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope
from torch import nn

TWO_STAGES = dict(
    embed_dims=(8, 8),
    token_dims=(16, 16),
    depths=(1, 2),
    num_heads=(2, 2),
    rc_heads=(2, 2),
    attention=('window', 'vsa'),
    nc_groups=(1, 4),
    rc_groups=(1, 4),
)
# Backbone -> (start of a parameter's name, its layer), the number of layers with the head.
DEPTHS = {
    'ViTAEv2': (
        dict(type='mmvsa.ViTAEv2', arch=TWO_STAGES, out_indices=(1,)),
        {
            'stages.0.reduction': 0,
            'stages.0.blocks.0': 1,
            'stages.1.reduction': 2,
            'stages.1.blocks.0': 3,
            'stages.1.blocks.1': 4,
        },
        6,
    ),
    'ViTAE': (
        dict(
            type='mmvsa.ViTAE',
            out_type='avg_featmap',
            arch=dict(
                token_dims=(16,),
                depths=(11,),
                num_heads=(2,),
                groups=(4,),
                reductions=('patch',),
                downsample=(16,),
                class_token=True,
            ),
        ),
        {
            'cls_token': 0,
            'pos_embed': 0,
            'stages.0.reduction': 0,
            'stages.0.blocks.0.': 1,
            'stages.0.blocks.1.': 2,
            'stages.0.blocks.10.': 11,
            'fc_norm': 12,
        },
        13,
    ),
    'SwinVSA': (
        dict(type='mmvsa.SwinVSA', arch=dict(embed_dims=8, depths=(1, 1), num_heads=(2, 2))),
        {
            'patch_embed': 0,
            'stages.0.blocks.0': 1,
            'stages.0.downsample': 2,
            'stages.1.blocks.0': 3,
            'norm1': 4,
        },
        5,
    ),
    'RVSA': (
        dict(type='mmvsa.RVSA', arch=dict(embed_dims=16, depth=2, num_heads=2)),
        {'patch_embed': 0, 'pos_embed': 0, 'blocks.0': 1, 'blocks.1': 2, 'norm': 3},
        4,
    ),
}
DEPTHS['SwinVSA'][0]['out_indices'] = (1,)


@pytest.mark.parametrize('name', DEPTHS)
def test_layer_depth(name: str) -> None:
    config, expected, count = DEPTHS[name]
    backbone = MODELS.build(config)
    found = {start: set() for start in expected}
    for parameter, _ in backbone.named_parameters():
        depth = backbone.get_layer_depth(f'backbone.{parameter}', 'backbone.')
        for start in expected:
            if parameter.startswith(start):
                found[start].add(depth)
    assert found == {start: {(layer, count)} for start, layer in expected.items()}
    assert backbone.get_layer_depth('head.fc.weight', 'backbone.') == (count - 1, count)


def test_learning_rates_halve_from_layer_to_layer() -> None:
    """Worked out by hand: the head learns at 0.32, the first of six layers at 0.32 / 2**5."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(
            dict(
                type='ImageClassifier',
                backbone=DEPTHS['ViTAEv2'][0],
                neck=dict(type='GlobalAveragePooling'),
                head=dict(type='LinearClsHead', num_classes=3, in_channels=16),
            )
        )
        wrapper = build_optim_wrapper(
            model,
            dict(
                optimizer=dict(type='AdamW', lr=0.32, weight_decay=0.05),
                constructor='LearningRateDecayOptimWrapperConstructor',
                paramwise_cfg=dict(layer_decay_rate=0.5, norm_decay_mult=0.0, bias_decay_mult=0.0),
            ),
        )
    rates = {
        'backbone.stages.0.reduction.': 0.01,
        'backbone.stages.0.blocks.0.': 0.02,
        'backbone.stages.1.reduction.': 0.04,
        'backbone.stages.1.blocks.0.': 0.08,
        'backbone.stages.1.blocks.1.': 0.16,
        'head.fc.': 0.32,
    }
    groups = {group['param_name']: group for group in wrapper.optimizer.param_groups}
    assert groups.keys() == {name for name, _ in model.named_parameters()}
    for name, group in groups.items():
        (start,) = [start for start in rates if name.startswith(start)]
        assert group['lr'] == pytest.approx(rates[start]), name
        layer = model.get_submodule(name.rpartition('.')[0])
        decays = not isinstance(layer, nn.LayerNorm | nn.BatchNorm2d) and not name.endswith('bias')
        assert group['weight_decay'] == (0.05 if decays else 0), name
