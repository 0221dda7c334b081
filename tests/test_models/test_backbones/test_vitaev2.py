"""The ViTAEv2 backbone: sizes, options, errors."""

import pytest
import torch
from helpers.archs import VITAEV2 as NANO

from mmvsa.models import ViTAEv2
from mmvsa.models.backbones.vitaev2 import ARCHS
from mmvsa.models.layers import WindowedAttention


def nano(arch=None, **options):
    torch.manual_seed(0)
    return ViTAEv2({**NANO, **(arch or {})}, **options)


# (official parameters in millions, of the whole classifier: README of the two repositories)
@pytest.mark.parametrize(
    ('arch', 'millions'),
    [('s', 19.2), ('48m', 48.5), ('b', 89.7), ('s-vsa', 19.8), ('48m-vsa', 50.1), ('b-vsa', 93.9)],
)
def test_sizes_of_the_papers(arch, millions):
    with torch.device('meta'):
        backbone = ViTAEv2(arch)
    head = (ARCHS[arch]['token_dims'][-1] + 1) * 1000
    total = sum(p.numel() for p in backbone.parameters()) + head
    assert total / 1e6 == pytest.approx(millions, rel=0.02)


@pytest.mark.parametrize('arch', sorted(ARCHS))
def test_every_arch_builds(arch):
    with torch.device('meta'):
        backbone = ViTAEv2(arch)
    window = 12 if arch.endswith('ws12') else 7
    windows = {m.window_size for m in backbone.modules() if isinstance(m, WindowedAttention)}
    assert windows == {window}


def test_drop_path_schedule_reaches_the_cells():
    def rates(schedule):
        backbone = nano(drop_path_rate=0.4, drop_path_schedule=schedule)
        return [block.drop_path.drop_prob for stage in backbone.stages for block in stage.blocks]

    assert rates('cumulative') == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert rates('official') == pytest.approx([0.0, 0.1, 0.1, 0.2, 0.2])


@pytest.mark.parametrize(
    'arch',
    [
        dict(window_size=4),
        dict(mlp_ratio=2.0),
        dict(rc_mlp_ratio=2.0),
        dict(wide_pcm=True),
        dict(position_conv=False),
        dict(dilations=((1, 2), (1, 2), (1,), (1,))),
        dict(kernel_sizes=(3, 3, 3, 3)),
    ],
)
def test_arch_options_change_the_parameters(arch):
    def count(backbone):
        return sum(p.numel() for p in backbone.parameters())

    assert count(nano(arch)) != count(nano())


def test_qkv_bias_and_backend_reach_the_attention():
    assert nano(qkv_bias=False).stages[1].blocks[0].attn.qkv.bias is None
    with pytest.raises(RuntimeError, match='mmcv'):
        nano(attention=dict(backend='mmcv'))(torch.randn(1, 3, 64, 64))


def test_per_stage_lists_may_have_any_number_of_stages():
    arch = {key: value[:2] for key, value in NANO.items()}
    outputs = ViTAEv2(arch, out_indices=(0, 1))(torch.randn(1, 3, 32, 32))
    assert [tuple(out.shape) for out in outputs] == [(1, 16, 8, 8), (1, 16, 4, 4)]


def test_each_stage_has_its_window_size():
    backbone = nano({**NANO, 'window_size': (8, 4, 2, 2)})
    for stage, expected in zip(backbone.stages[:3], (8, 4, 2), strict=True):
        windows = {m.window_size for m in stage.modules() if isinstance(m, WindowedAttention)}
        assert windows == {expected}


def test_reduction_cells_may_have_another_attention():
    backbone = nano(dict(reduction_attention=('full', 'window', 'vsa', 'rvsa')))
    kinds = [type(stage.reduction.attn).__name__ for stage in backbone.stages]
    assert kinds == ['FullAttention', 'WindowAttention'] + ['SampledWindowAttention'] * 2
    assert type(backbone.stages[0].blocks[0].attn).__name__ == 'WindowAttention'


def test_windows_padded_at_the_end_by_one_option():
    """As in RSP: an option without a type reaches the stages that have it."""
    backbone = ViTAEv2(
        {**NANO, 'attention': ('window', 'window', 'full', 'full')}, attention=dict(padding='end')
    )
    assert [s.blocks[0].attn.padding for s in backbone.stages[:2]] == ['end', 'end']


def test_keys_before_the_attention_vocabulary_warn_and_work():
    old = {k: v for k, v in NANO.items() if k != 'attention'}
    names = ('window', 'vsa', 'vsa', 'full')
    with pytest.warns(DeprecationWarning, match="arch.'nc_attention'. is deprecated"):
        backbone = ViTAEv2(
            {**old, 'nc_attention': names, 'rc_attention': names, 'relative_position': False}
        )
    assert backbone.stages[1].blocks[0].attn.relative_position_bias_table is None
    with pytest.warns(DeprecationWarning, match='authors'):
        ViTAEv2(NANO, drop_path_schedule='authors')


@pytest.mark.parametrize(
    ('arch', 'message'),
    [
        (dict(num_heads=(2, 2)), 'num_heads has 2 entries for 4 stages'),
        (dict(window_size=(8, 4)), 'window_size has 2 entries for 4 stages'),
        (dict(num_heads=(3, 2, 4, 4)), 'num_heads=3 does not divide out_dims=16'),
        (dict(attention=('window', 'vsa', 'vsa', 'linear')), "unknown attention 'linear'"),
        (dict(downsample=(3, 2, 2, 2)), 'must be 1, 2, 4 or 8, got 3'),
        (dict(depths=(0, 0, 0, 0)), 'num_heads changes nothing in this arch'),
    ],
)
def test_wrong_archs_are_named(arch, message):
    with pytest.raises(ValueError, match=message):
        nano(arch)


def test_wrong_drop_path_schedule_is_named():
    with pytest.raises(ValueError, match="drop_path_schedule must be one of .* 'cosine'"):
        nano(drop_path_schedule='cosine')
