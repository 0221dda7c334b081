"""The ViTAEv2 backbone: sizes, options, errors."""

import pytest
import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

from mmvsa.models import ViTAEv2, WindowedAttention
from mmvsa.models.backbones.vitaev2 import ARCHS, drop_path_rates, resolve_arch

NANO = dict(
    embed_dims=(8, 8, 8, 16),
    token_dims=(16, 16, 32, 32),
    depths=(1, 1, 2, 1),
    num_heads=(2, 2, 4, 4),
    rc_heads=(2, 2, 2, 4),
    rc_attention=('window', 'vsa', 'vsa', 'full'),
    nc_attention=('window', 'vsa', 'vsa', 'full'),
    nc_groups=(1, 4, 8, 8),
    rc_groups=(1, 4, 4, 8),
)


def nano(arch=None, **options):
    torch.manual_seed(0)
    return ViTAEv2({**NANO, **(arch or {})}, **options)


# (authors' parameters in millions, of the whole classifier: README of the two repositories)
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


@pytest.mark.parametrize('size', [(64, 64), (65, 97), (32, 160), (7, 20), (1, 1)])
@pytest.mark.parametrize('padding', ['end', 'center'])
def test_any_size(size, padding):
    backbone = nano(out_indices=(0, 1, 2, 3), window_padding=padding).eval()
    with torch.no_grad():
        outputs = backbone(torch.randn(2, 3, *size))
    for i, out in enumerate(outputs):
        expected = size
        for stride in (4, 2, 2, 2)[: i + 1]:
            expected = tuple(-(-length // stride) for length in expected)
        assert out.shape == (2, NANO['token_dims'][i], *expected)
        assert out.isfinite().all() and out.is_contiguous()


def test_out_indices_choose_the_stages():
    x = torch.randn(1, 3, 64, 64)
    every = nano(out_indices=(0, 1, 2, 3)).eval()
    some = nano(out_indices=(1, -1)).eval()
    assert some.out_channels == (16, 32)
    for ours, expected in zip(some(x), (every(x)[1], every(x)[3]), strict=True):
        assert torch.equal(ours, expected)


def test_every_parameter_gets_a_gradient():
    backbone = nano(window_transform=dict(regressor_init='torch'))
    sum(out.square().sum() for out in backbone(torch.randn(2, 3, 96, 96))).backward()
    dead = [n for n, p in backbone.named_parameters() if p.grad is None or not p.grad.any()]
    assert not dead


@pytest.mark.parametrize('frozen', [0, 1, 3])
def test_frozen_stages_do_not_train(frozen):
    backbone = nano(frozen_stages=frozen)
    backbone.train()
    for index, stage in enumerate(backbone.stages):
        trains = index >= frozen
        assert all(p.requires_grad == trains for p in stage.parameters())
        assert stage.training == trains
    backbone(torch.randn(1, 3, 64, 64))[0].sum().backward()


def test_a_rule_for_linear_layers_leaves_the_regressors_at_zero():
    rule = dict(type='TruncNormal', layer='Linear', std=0.02)
    backbone = nano(init_cfg=rule)
    before = backbone.stages[1].blocks[0].mlp.fc1.weight.clone()
    backbone.init_weights()
    assert not torch.equal(backbone.stages[1].blocks[0].mlp.fc1.weight, before)
    regressors = [p for n, p in backbone.named_parameters() if 'regressor' in n]
    assert regressors and not any(p.any() for p in regressors)


def test_norm_eval_keeps_statistics():
    backbone = nano(norm_eval=True).train()
    norms = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms and not any(norm.training for norm in norms)
    assert all(m.training for m in nano().train().modules() if isinstance(m, nn.BatchNorm2d))


@pytest.mark.parametrize(
    'options',
    [
        dict(with_cp=True),
        dict(keep_activations=True),
        dict(with_cp=True, keep_activations=True),
    ],
)
def test_what_is_kept_changes_no_gradient(options):
    x = torch.randn(2, 3, 64, 64)
    gradients, statistics = [], []
    for chosen in ({}, options):
        backbone = nano(drop_path_rate=0.0, **chosen).train()
        backbone(x)[0].sum().backward()
        gradients.append([p.grad for p in backbone.parameters()])
        statistics.append(dict(backbone.named_buffers()))
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed)
    torch.testing.assert_close(*statistics)


def test_what_is_kept():
    def kept(**options):
        count = 0

        def pack(tensor):
            nonlocal count
            count += tensor.numel()
            return tensor

        backbone = nano(**options).train()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            backbone(torch.randn(1, 3, 64, 64))
        return count

    plain, checkpointed = kept(), kept(with_cp=True)
    assert checkpointed < 0.5 * plain
    assert kept(keep_activations=True) > 1.5 * plain
    # Each cell is still done again as a whole.
    assert kept(with_cp=True, keep_activations=True) == checkpointed


def test_keeping_goes_with_checkpointing_from_outside():
    """As FSDP's: cells are called again without the backbone."""
    backbone = nano(keep_activations=True).train()
    for stage in backbone.stages:
        for index, block in enumerate(stage.blocks):
            stage.blocks[index] = checkpoint_wrapper(block)
    backbone(torch.randn(2, 3, 64, 64))[0].sum().backward()
    assert all(p.grad is not None for p in backbone.stages[0].parameters())


def test_drop_path_schedules():
    depths = (2, 2, 8, 2)
    cumulative = drop_path_rates(0.2, depths, 'cumulative')
    assert [len(rates) for rates in cumulative] == list(depths)
    flat = [rate for rates in cumulative for rate in rates]
    assert flat == pytest.approx(torch.linspace(0, 0.2, 14).tolist())
    authors = drop_path_rates(0.2, depths, 'authors')
    assert max(max(rates) for rates in authors) == pytest.approx(0.2 * 9 / 13)  # 0.138
    assert authors[1] == authors[2][:2]


@pytest.mark.parametrize(
    'options',
    [
        dict(drop_path_rate=0.5),
        dict(drop_rate=0.5),
        dict(attn_drop_rate=0.5),
    ],
)
def test_regularisation_acts_in_training(options):
    backbone = nano(norm_eval=True, **options).train()
    x = torch.randn(2, 3, 64, 64)
    assert not torch.equal(backbone(x)[0], backbone(x)[0])
    backbone.eval()
    assert torch.equal(backbone(x)[0], backbone(x)[0])


def test_drop_path_schedule_reaches_the_cells():
    def rates(schedule):
        backbone = nano(drop_path_rate=0.4, drop_path_schedule=schedule)
        return [block.drop_path.drop_prob for stage in backbone.stages for block in stage.blocks]

    assert rates('cumulative') == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert rates('authors') == pytest.approx([0.0, 0.1, 0.1, 0.2, 0.2])


@pytest.mark.parametrize(
    'arch',
    [
        dict(window_size=4),
        dict(mlp_ratio=2.0),
        dict(rc_mlp_ratio=2.0),
        dict(wide_pcm=True),
        dict(position_conv=False),
        dict(relative_position=False),
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
        nano(attention_backend='mmcv')(torch.randn(1, 3, 64, 64))


def test_per_stage_lists_may_have_any_number_of_stages():
    arch = {key: value[:2] for key, value in NANO.items()}
    outputs = ViTAEv2(arch, out_indices=(0, 1))(torch.randn(1, 3, 32, 32))
    assert [tuple(out.shape) for out in outputs] == [(1, 16, 8, 8), (1, 16, 4, 4)]


@pytest.mark.parametrize(
    ('arch', 'message'),
    [
        ('xl', "unknown arch 'xl'.*'s-vsa'"),
        ({**NANO, 'num_heads': (2, 2)}, 'num_heads has 2 entries for 4 stages'),
        ({**NANO, 'window_size': (8, 4)}, 'window_size has 2 entries for 4 stages'),
        ({**NANO, 'num_heads': (3, 2, 4, 4)}, 'num_heads=3 does not divide the width 16'),
        (
            {**NANO, 'rc_attention': ('window', 'vsa', 'vsa', 'linear')},
            "unknown attention 'linear'",
        ),
        ({**NANO, 'widths': (1, 2)}, "unknown: \\['widths'\\]"),
        ({'depths': (1, 1)}, "missing: \\['embed_dims'"),
        ({**NANO, 'downsample': (3, 2, 2, 2)}, 'shrinks by 1, 2, 4 or 8, got 3'),
    ],
)
def test_wrong_archs_are_named(arch, message):
    with pytest.raises(ValueError, match=message):
        ViTAEv2(arch)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(out_indices=(4,)), 'out_indices'),
        (dict(out_indices=()), 'at least one stage'),
        (dict(frozen_stages=5), 'frozen_stages must be from -1 to 4'),
        (dict(drop_path_schedule='cosine'), "drop_path_schedule must be one of .* 'cosine'"),
        (dict(window_padding='left'), "padding must be one of .* 'left'"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        nano(**options)


@pytest.mark.parametrize(
    ('shape', 'message'),
    [
        ((1, 4, 32, 32), r'takes images of shape \(B, 3, H, W\), got \(1, 4, 32, 32\)'),
        ((3, 32, 32), r'takes images of shape'),
        ((0, 3, 32, 32), 'empty batch'),
    ],
)
def test_wrong_images_are_named(shape, message):
    with pytest.raises(ValueError, match=message):
        nano()(torch.zeros(shape))


def test_named_archs_resolve_to_complete_settings():
    settings = resolve_arch('S-VSA')
    assert settings['window_size'] == (7, 7, 7, 7) and settings['downsample'] == (4, 2, 2, 2)


def test_each_stage_has_its_window_size():
    backbone = nano({**NANO, 'window_size': (8, 4, 2, 2)})
    for stage, expected in zip(backbone.stages[:3], (8, 4, 2), strict=True):
        windows = {m.window_size for m in stage.modules() if isinstance(m, WindowedAttention)}
        assert windows == {expected}
