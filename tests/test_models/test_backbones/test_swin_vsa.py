"""SwinVSA and QFormer: options, any size, Swin's weights."""

import pytest
import torch
from helpers.archs import SWIN as NANO
from torch.nn import functional as F

from mmvsa.models import QFormer, Quadrangle, SwinVSA, VariedSizeWindow, load_pretrained
from mmvsa.models.conversions import convert_swin

CLASSES = [SwinVSA, QFormer]


def nano(kind=SwinVSA, arch=None, **options):
    torch.manual_seed(0)
    return kind({**NANO, **(arch or {})}, **{'out_indices': (0, 1, 2), **options})


def count(backbone):
    return sum(p.numel() for p in backbone.parameters())


def test_the_attention_is_chosen_by_config():
    def transform(backbone):
        return backbone.stages[1].blocks[0].attn.transform

    def chosen(**options):
        return nano(attention=dict(transform=options))

    assert isinstance(transform(nano()), VariedSizeWindow)
    assert transform(nano()).offset_unit == 'padded'
    assert transform(chosen(offset_unit='axis')).offset_unit == 'axis'
    assert isinstance(transform(nano(QFormer)), Quadrangle)
    assert isinstance(transform(nano(attention='quadrangle')), Quadrangle)
    assert isinstance(transform(chosen(type='mmvsa.Quadrangle')), Quadrangle)
    with pytest.warns(DeprecationWarning, match='window_transform'):
        fixed = nano(window_transform='FixedWindow')
    assert type(fixed.stages[1].blocks[0].attn).__name__ == 'WindowAttention'


def test_options_change_the_parameters():
    plain = count(nano())
    for options in (
        dict(attention=dict(position='decomposed')),
        dict(attention=dict(position=None)),
        dict(position_conv=False),
        dict(qkv_bias=False),
        dict(attention='quadrangle'),
        dict(out_indices=(2,)),
        dict(in_channels=4),
        dict(arch=dict(window_size=6)),
        dict(arch=dict(mlp_ratio=2)),
        dict(arch=dict(patch_size=2)),
    ):
        assert count(nano(**options)) != plain, options


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(arch='xl'), "unknown arch 'xl' of SwinVSA; choose one of"),
        (dict(arch={**NANO, 'num_heads': (1, 2)}), 'num_heads has 2 entries for 3 stages'),
        (dict(arch={**NANO, 'heads': 1}), r"unknown: \['heads'\]"),
        (dict(arch=dict(depths=(1,))), r"missing: \['embed_dims', 'num_heads'\]"),
        (dict(arch={**NANO, 'embed_dims': (8, 16, 32)}), 'embed_dims must be one number'),
        (dict(out_indices=(7,)), 'out_indices'),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        SwinVSA(**{'arch': NANO, 'out_indices': (0,), **options})


# Parameters of the official classifiers.
@pytest.mark.parametrize(
    ('kind', 'arch', 'official'),
    [
        (SwinVSA, 's', 50549338),
        (SwinVSA, 'b', 89243776),
        (QFormer, 's', 51164188),
        (QFormer, 'b', 90336216),
    ],
)
def test_official_sizes(kind, arch, official):
    with torch.device('meta'):
        backbone = kind(arch)
    assert count(backbone) + (backbone.out_channels[-1] + 1) * 1000 == official


def swin(**options):
    """Return the Swin of mmpretrain without shifts."""
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
    reference = swin(out_indices=(0, 1, 2))
    model = nano(kind).eval()
    report = load_pretrained(model, reference.state_dict())
    assert not report.unexpected and not report.mismatched
    assert all('pos_conv' in key or 'regressor' in key for key in report.missing)
    x = torch.randn(1, 3, 64, 128)
    for mine, expected in zip(model(x), reference(x), strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-4)


def test_swin_inside_a_detectors_file():
    reference = swin(out_indices=(0, 1, 2)).state_dict()
    content = {f'backbone.{k}': v for k, v in reference.items()}
    model = nano()
    load_pretrained(model, {**content, 'neck.conv.weight': torch.zeros(1)})
    key = 'stages.1.blocks.1.mlp.fc2.weight'
    assert torch.equal(model.get_parameter(key), reference['stages.1.blocks.1.ffn.layers.1.weight'])


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
    torch.testing.assert_close(merging.downsample(x), expected)
