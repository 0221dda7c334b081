"""ViTAE (2021): sizes, options, class token and positions."""

import pytest
import torch
from torch import nn

from mmvsa.models import ViTAE, load_pretrained
from mmvsa.models.backbones.vitae import ARCHS, resolve_arch
from mmvsa.models.conversions import convert_vitae
from mmvsa.models.layers import PerformerAttention, resize_position

PYRAMID = dict(
    embed_dims=(8, 8, 16),
    token_dims=(8, 8, 32),
    depths=(0, 1, 2),
    num_heads=(1, 1, 4),
    groups=(1, 1, 8),
    reductions=('performer', 'performer', 'pyramid'),
    downsample=(4, 2, 2),
    mlp_ratio=2.0,
)
PATCH = dict(
    embed_dims=(16,),
    token_dims=(16,),
    depths=(2,),
    num_heads=(4,),
    groups=(4,),
    reductions=('patch',),
    downsample=(16,),
    class_token=True,
    shallow_pcm=True,
)


def nano(arch=PYRAMID, **options):
    torch.manual_seed(0)
    return ViTAE(arch, **options)


def count(backbone):
    return sum(p.numel() for p in backbone.parameters())


# Parameters of the authors' classifiers; their performers' projections, which never train, are
# buffers here.
@pytest.mark.parametrize(
    ('arch', 'authors', 'projections'),
    [
        ('13m', 10834728, 2 * 32 * 64),
        ('small', 24032136, 48 * 96 + 96 * 192),
        ('base', 89341672, 0),
        ('large', 311724008, 0),
        ('huge', 644528360, 0),
    ],
)
def test_sizes_of_the_authors(arch, authors, projections):
    with torch.device('meta'):
        backbone = ViTAE(arch, out_type='avg_featmap')
    head = (backbone.out_channels[-1] + 1) * 1000
    assert count(backbone) + head == authors - projections


@pytest.mark.parametrize('size', [(64, 64), (65, 97), (32, 160), (7, 20), (1, 1)])
def test_any_size(size):
    x = torch.randn(2, 3, *size)
    pyramid = nano(out_indices=(0, 1, 2)).eval()
    patch = nano(PATCH, img_size=64).eval()
    with torch.no_grad():
        maps, (last,) = pyramid(x), patch(x)
    assert pyramid.out_channels == (8, 8, 32) and patch.out_channels == (16,)
    for out, channels, stride in zip((*maps, last), (8, 8, 32, 16), (4, 8, 16, 16), strict=True):
        expected = tuple(-(-length // stride) for length in size)
        assert out.shape == (2, channels, *expected)
        assert out.isfinite().all() and out.is_contiguous()


@pytest.mark.parametrize('arch', [PYRAMID, PATCH])
def test_every_parameter_gets_a_gradient(arch):
    backbone = nano(arch, out_type='avg_featmap', img_size=64)
    (
        torch.randn(2, backbone.out_channels[0]) * backbone(torch.randn(2, 3, 64, 80))[0]
    ).sum().backward()
    dead = [n for n, p in backbone.named_parameters() if p.grad is None or not p.grad.any()]
    assert not dead


def test_the_mean_goes_through_the_norm_with_a_class_token():
    x = torch.randn(2, 3, 64, 64)
    for arch in (PYRAMID, PATCH):
        maps, means = (nano(arch, out_type=kind).eval() for kind in ('featmap', 'avg_featmap'))
        means.load_state_dict(maps.state_dict(), strict=False)
        expected = maps(x)[0].mean((2, 3))
        if arch is PATCH:
            expected = nn.functional.layer_norm(expected, (16,), eps=1e-6)
        torch.testing.assert_close(means(x)[0], expected)


def test_the_class_token_matters_through_the_attention_only():
    backbone = nano(PATCH, img_size=64).eval()
    x = torch.randn(1, 3, 64, 64)
    before = backbone(x)[0]
    with torch.no_grad():
        backbone.cls_token.mul_(100)
    assert not torch.equal(backbone(x)[0], before)


@pytest.mark.parametrize('arch', [PYRAMID, PATCH])
@pytest.mark.parametrize('frozen', [0, 1])
def test_frozen_stages_do_not_train(arch, frozen):
    backbone = nano(arch, frozen_stages=frozen).train()
    assert all(p.requires_grad == (frozen == 0) for p in backbone.stages[0].parameters())
    assert all(p.requires_grad for stage in backbone.stages[1:] for p in stage.parameters())
    if arch is PATCH:
        assert backbone.pos_embed.requires_grad == backbone.cls_token.requires_grad == (frozen == 0)


def test_checkpointing_changes_no_gradient():
    x = torch.randn(2, 3, 64, 64)
    gradients = []
    for with_cp in (False, True):
        backbone = nano(with_cp=with_cp, norm_eval=True, performer_drop_rate=0.0).train()
        backbone(x)[0].sum().backward()
        gradients.append([p.grad for p in backbone.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed)


@pytest.mark.parametrize(
    'options',
    [
        dict(drop_path_rate=0.5),
        dict(drop_rate=0.5),
        dict(attn_drop_rate=0.5),
        dict(performer_drop_rate=0.5),
    ],
)
def test_regularisation_acts_in_training(options):
    backbone = nano(norm_eval=True, **{'performer_drop_rate': 0.0, **options}).train()
    x = torch.randn(2, 3, 64, 64)
    assert not torch.equal(backbone(x)[0], backbone(x)[0])
    backbone.eval()
    assert torch.equal(backbone(x)[0], backbone(x)[0])


def test_options_change_the_parameters():
    for arch in (PYRAMID, PATCH):
        plain = count(nano(arch))
        changes = [
            dict(shallow_pcm=arch is PYRAMID),
            dict(mlp_ratio=3.0),
            dict(depths=arch['depths'][:-1] + (3,)),
        ]
        if arch is PYRAMID:
            changes.append(dict(kernel_sizes=(3, 3, 3)))
        else:
            changes.append(dict(class_token=False))
        for change in changes:
            assert count(nano({**arch, **change})) != plain, change
        for options in (dict(qkv_bias=False), dict(in_channels=4)):
            assert count(nano(arch, **options)) != plain, options
    assert count(nano(PATCH, img_size=128)) != count(nano(PATCH))


@pytest.mark.parametrize(
    ('arch', 'options', 'message'),
    [
        ('xl', {}, "unknown arch 'xl' of ViTAE; choose one of"),
        ({**PYRAMID, 'num_heads': (1, 1)}, {}, 'num_heads has 2 entries for 3 stages'),
        ({**PYRAMID, 'width': 1}, {}, r"unknown: \['width'\]"),
        (dict(depths=(1,)), {}, 'missing: '),
        ({**PATCH, 'reductions': ('pool',)}, {}, "unknown reduction 'pool'"),
        ({**PYRAMID, 'token_dims': (8, 8, 30)}, {}, 'pyramid of stage 2 is 32 wide'),
        ({**PYRAMID, 'class_token': True}, {}, 'a class token needs one stage'),
        (PATCH, dict(out_type='cls'), "out_type must be one of .* got 'cls'"),
    ],
)
def test_wrong_options_are_named(arch, options, message):
    with pytest.raises(ValueError, match=message):
        ViTAE(arch, **options)


def test_named_archs_are_complete():
    for arch in ARCHS:
        assert resolve_arch(arch.upper())['kernel_sizes']


def test_authors_names_of_a_class_token_model():
    backbone = nano(PATCH)
    theirs = {
        'layers.0.RC.cls_token': torch.ones(1, 1, 16),
        'layers.0.RC.pos_embed': torch.ones(1, 197, 16),
        'layers.0.RC.PRM.proj.bias': torch.ones(16),
        'layers.2.NC.1.PCM.0.bias': torch.ones(64),
        'layers.2.NC.1.attn.qkv.bias': torch.ones(48),
    }
    own = backbone.state_dict()
    for key, value in convert_vitae(theirs).items():
        assert own[key].shape == value.shape


def test_performer_approximates_softmax_attention():
    torch.manual_seed(0)
    attention = PerformerAttention(8, 8, feature_ratio=1.0).double()
    # many independent sets of orthogonal directions, of random lengths
    sets = [nn.init.orthogonal_(torch.empty(8, 8)) for _ in range(2000)]
    length = torch.randn(16000, 8).norm(dim=1, keepdim=True)
    attention.directions = (torch.cat(sets) * length).double()
    x = 0.5 * torch.randn(1, 3, 4, 8, dtype=torch.float64)
    k, q, v = attention.kqv(x.flatten(1, 2)).mul(2).chunk(3, -1)
    nn.init.eye_(attention.proj.weight)
    nn.init.zeros_(attention.proj.bias)
    with torch.no_grad():
        attention.kqv.weight.mul_(2)
        attention.kqv.bias.mul_(2)
    expected = (q @ k.transpose(1, 2)).softmax(-1) @ v + v
    torch.testing.assert_close(attention(x).flatten(1, 2), expected, rtol=0.02, atol=0.01)


def test_performer_takes_float32_for_its_exponentials():
    attention = PerformerAttention(8, 8)
    x = torch.randn(1, 3, 4, 8)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        half = attention(x)
    torch.testing.assert_close(half.float(), attention(x), rtol=0.02, atol=0.02)


def test_positions_are_interpolated():
    embedding = torch.randn(1, 1 + 4 * 6, 3)
    assert resize_position(embedding, (4, 6), (4, 6)) is embedding
    resized = resize_position(embedding, (4, 6), (8, 5))
    assert resized.shape == (1, 41, 3)
    assert torch.equal(resized[:, 0], embedding[:, 0])
    flat = resize_position(torch.ones(1, 24, 3), (4, 6), (7, 7))
    torch.testing.assert_close(flat, torch.ones(1, 49, 3))


def test_a_file_of_another_image_size_is_resized():
    source = nano(PATCH, img_size=64)
    target = nano(PATCH, img_size=96)
    report = load_pretrained(target, source.state_dict())
    assert report.resized == ['pos_embed: (1, 17, 16) -> (1, 37, 16)']
    expected = resize_position(source.pos_embed, (4, 4), (6, 6))
    assert torch.equal(target.pos_embed, expected)
