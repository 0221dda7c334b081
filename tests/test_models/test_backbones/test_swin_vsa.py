"""SwinVSA and QFormer: options, any size, Swin's weights."""

import pytest
import torch
from torch.nn import functional as F

from mmvsa.models import QFormer, Quadrangle, SwinVSA, VariedSizeWindow, load_pretrained
from mmvsa.models.backbones.swin_vsa import ARCHS, resolve_arch
from mmvsa.models.conversions import convert_swin

NANO = dict(embed_dims=8, depths=(1, 2, 1), num_heads=(1, 2, 4), window_size=4)
CLASSES = [SwinVSA, QFormer]


def nano(kind=SwinVSA, arch=None, **options):
    torch.manual_seed(0)
    return kind({**NANO, **(arch or {})}, **{'out_indices': (0, 1, 2), **options})


def count(backbone):
    return sum(p.numel() for p in backbone.parameters())


@pytest.mark.parametrize('kind', CLASSES)
@pytest.mark.parametrize('size', [(64, 64), (65, 97), (32, 160), (7, 20), (1, 1)])
def test_any_size(kind, size):
    backbone = nano(kind, window_transform=dict(regressor_init='torch')).eval()
    with torch.no_grad():
        outputs = backbone(torch.randn(2, 3, *size))
    for i, out in enumerate(outputs):
        expected = tuple(-(-length // (4 * 2**i)) for length in size)
        assert out.shape == (2, 8 * 2**i, *expected)
        assert out.isfinite().all() and out.is_contiguous()
    assert backbone.out_channels == (8, 16, 32)


def test_the_attention_is_chosen_by_config():
    def transform(backbone):
        return backbone.stages[1].blocks[0].attn.transform

    assert isinstance(transform(nano()), VariedSizeWindow)
    assert transform(nano()).offset_unit == 'padded'
    assert transform(nano(window_transform=dict(offset_unit='axis'))).offset_unit == 'axis'
    assert isinstance(transform(nano(QFormer)), Quadrangle)
    assert transform(nano(QFormer, window_transform=dict(coords_lambda=0.1))).coords_lambda == 0.1
    assert isinstance(transform(nano(window_transform='mmvsa.Quadrangle')), Quadrangle)
    assert transform(nano(window_transform='FixedWindow')).is_static


@pytest.mark.parametrize('kind', CLASSES)
@pytest.mark.parametrize('rpe', ['v1', 'v2', None])
def test_every_parameter_gets_a_gradient(kind, rpe):
    options = dict(regressor_init='torch')
    if kind is QFormer:
        options['skip_single_window'] = False
    backbone = nano(kind, rpe=rpe, window_transform=options)
    sum(out.square().sum() for out in backbone(torch.randn(2, 3, 96, 96))).backward()
    dead = [n for n, p in backbone.named_parameters() if p.grad is None or not p.grad.any()]
    assert not dead


@pytest.mark.parametrize('frozen', [0, 1, 2])
def test_frozen_stages_do_not_train(frozen):
    backbone = nano(frozen_stages=frozen).train()
    for index, stage in enumerate(backbone.stages):
        trains = index >= frozen
        assert all(p.requires_grad == trains for p in stage.parameters())
        assert stage.training == trains
        assert backbone.get_parameter(f'norm{index}.weight').requires_grad == trains
    assert backbone.patch_embed.projection.weight.requires_grad == (frozen == 0)
    backbone(torch.randn(1, 3, 64, 64))[-1].sum().backward()


def test_checkpointing_changes_no_gradient():
    x = torch.randn(2, 3, 64, 64)
    gradients = []
    for with_cp in (False, True):
        backbone = nano(QFormer, with_cp=with_cp, window_transform=dict(coords_lambda=0.1)).train()
        backbone(x)[0].sum().backward()
        gradients.append([p.grad for p in backbone.parameters() if p.grad is not None])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed)


@pytest.mark.parametrize(
    'options', [dict(drop_path_rate=0.5), dict(drop_rate=0.5), dict(attn_drop_rate=0.5)]
)
def test_regularisation_acts_in_training(options):
    backbone = nano(**options).train()
    x = torch.randn(2, 3, 64, 64)
    assert not torch.equal(backbone(x)[2], backbone(x)[2])
    backbone.eval()
    assert torch.equal(backbone(x)[2], backbone(x)[2])


def test_drop_path_rises_over_all_blocks():
    backbone = nano(drop_path_rate=0.3)
    rates = [block.drop_path.drop_prob for stage in backbone.stages for block in stage.blocks]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_options_change_the_parameters():
    plain = count(nano())
    for options in (
        dict(rpe='v2'),
        dict(rpe=None),
        dict(position_conv=False),
        dict(qkv_bias=False),
        dict(window_transform='Quadrangle'),
        dict(out_indices=(2,)),
        dict(in_channels=4),
        dict(arch=dict(window_size=6)),
        dict(arch=dict(mlp_ratio=2)),
        dict(arch=dict(patch_size=2)),
    ):
        assert count(nano(**options)) != plain, options


def test_padding_and_backend_reach_the_attention():
    x = torch.randn(1, 3, 40, 40)
    end, center = (nano(window_padding=p).eval()(x)[0] for p in ('end', 'center'))
    assert not torch.equal(end, center)
    with pytest.raises(RuntimeError, match='mmcv'):
        nano(attention_backend='mmcv')(x)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(arch='xl'), "unknown arch 'xl' of SwinVSA; choose one of"),
        (dict(arch={**NANO, 'num_heads': (1, 2)}), 'num_heads has 2 entries for 3 stages'),
        (dict(arch={**NANO, 'heads': 1}), r"unknown: \['heads'\]"),
        (dict(arch=dict(depths=(1,))), r"missing: \['embed_dims', 'num_heads'\]"),
        (dict(rpe='v3'), "rpe must be one of .* got 'v3'"),
        (dict(out_indices=(7,)), 'out_indices'),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        SwinVSA(**{'arch': NANO, 'out_indices': (0,), **options})


def test_named_archs_are_complete():
    assert set(resolve_arch('T')) >= {'window_size', 'mlp_ratio', 'depths'}
    assert set(ARCHS) == {'t', 's', 'b'}


# Parameters of the authors' classifiers.
@pytest.mark.parametrize(
    ('kind', 'arch', 'authors'),
    [
        (SwinVSA, 's', 50549338),
        (SwinVSA, 'b', 89243776),
        (QFormer, 's', 51164188),
        (QFormer, 'b', 90336216),
    ],
)
def test_sizes_of_the_authors(kind, arch, authors):
    with torch.device('meta'):
        backbone = kind(arch)
    assert count(backbone) + (backbone.out_channels[-1] + 1) * 1000 == authors


def swin(**options):
    """mmpretrain's Swin without shifts."""
    from mmpretrain.models import SwinTransformer
    from mmpretrain.models.utils import ShiftWindowMSA

    torch.manual_seed(1)
    arch = {key: NANO[key] for key in ('embed_dims', 'depths', 'num_heads')}
    model = SwinTransformer(arch, window_size=4, **options)
    model.eval()
    for module in model.modules():
        if isinstance(module, ShiftWindowMSA):
            module.shift_size = 0
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


@pytest.mark.parametrize('kind', CLASSES)
def test_mmpretrains_swin_weights(kind):
    theirs = swin(out_indices=(0, 1, 2))
    ours = nano(kind).eval()
    report = load_pretrained(ours, theirs.state_dict())
    assert not report.unexpected and not report.mismatched
    assert all('pos_conv' in key or 'regressor' in key for key in report.missing)
    x = torch.randn(1, 3, 64, 128)
    for mine, expected in zip(ours(x), theirs(x), strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-4)


def test_swin_inside_a_detectors_file():
    theirs = swin(out_indices=(0, 1, 2)).state_dict()
    content = {f'backbone.{k}': v for k, v in theirs.items()}
    ours = nano()
    load_pretrained(ours, {**content, 'neck.conv.weight': torch.zeros(1)})
    key = 'stages.1.blocks.1.mlp.fc2.weight'
    assert torch.equal(ours.get_parameter(key), theirs['stages.1.blocks.1.ffn.layers.1.weight'])


@pytest.mark.parametrize('first', [0, 1])
def test_patch_merging_of_swin_files(first):
    """Their channel order, and timm's place of the merging (at the start of the next stage)."""
    torch.manual_seed(0)
    weight, norm = torch.randn(16, 32), torch.rand(32)
    state = {
        'layers.0.blocks.0.attn.qkv.weight': torch.randn(24, 8),
        'layers.1.blocks.0.attn.qkv.weight': torch.randn(48, 16),
        f'layers.{first}.downsample.reduction.weight': weight,
        f'layers.{first}.downsample.norm.weight': norm,
        f'layers.{first}.downsample.norm.bias': norm,
        'layers.0.blocks.1.attn_mask': torch.zeros(1),
        'norm.weight': torch.ones(16),
        'head.bias': torch.zeros(3),
    }
    converted = convert_swin(state)
    assert {'norm1.weight', 'head.fc.bias'} < converted.keys()
    assert not any('attn_mask' in key for key in converted)
    merging = nano(arch=dict(depths=(1, 1, 1))).stages[0]
    prefix = 'stages.0.downsample.'
    own = {k[len(prefix) :]: v for k, v in converted.items() if k.startswith(prefix)}
    merging.downsample.load_state_dict(own)
    x = torch.randn(2, 4, 6, 8)
    pixels = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
    expected = F.layer_norm(torch.cat(pixels, -1), (32,), norm, norm) @ weight.T
    torch.testing.assert_close(merging.shrink(x), expected)
