"""RVSA: sizes, outputs, options, official files."""

import pytest
import torch
from helpers.archs import RVSA as NANO
from helpers.archs import RVSA_VITAE as VITAE
from torch.nn import functional as F

from mmvsa.models import RVSA, load_pretrained
from mmvsa.models.conversions import convert_vit, is_foreign
from mmvsa.models.layers import FullAttention


def nano(arch=NANO, **options):
    torch.manual_seed(0)
    return RVSA(arch, **{'img_size': 64, **options})


def count(backbone):
    return sum(p.numel() for p in backbone.parameters())


# Parameters of the official classifiers of 51 classes. They keep a position for a class token that
# they do not have; the ViTAE kind has no bias of the keys.
@pytest.mark.parametrize(
    ('arch', 'separate', 'official', 'more'),
    [
        ('vit-b', False, 86249587, -768),
        ('vit-b', True, 86618707, -768),
        ('vitae-b', False, 89014387, 12 * 768 - 768),
        ('vitae-b', True, 89383507, 12 * 768 - 768),
    ],
)
def test_official_sizes(arch, separate, official, more):
    with torch.device('meta'):
        backbone = RVSA(arch, attention=dict(separate_windows=separate))
    assert count(backbone) + 769 * 51 == official + more


def test_every_third_block_is_full_attention():
    kinds = [type(block.attn).__name__ for block in nano({**NANO, 'depth': 6}).blocks]
    assert kinds == ['SampledWindowAttention', 'SampledWindowAttention', 'FullAttention'] * 2


def test_every_sixth_block_of_vit_l_is_full_attention():
    with torch.device('meta'):
        backbone = RVSA('vit-l')
    full = [i for i, b in enumerate(backbone.blocks) if isinstance(b.attn, FullAttention)]
    assert full == [5, 11, 17, 23]
    assert {block.attn.num_heads for block in backbone.blocks} == {16}


def test_size_of_vit_l():
    """The official encoder, which has a pyramid, and a final norm that it never uses."""
    with torch.device('meta'):
        backbone = RVSA('vit-l', out_type='pyramid', final_norm=False)
    assert count(backbone) + 2 * 1024 == 317628800


def test_outputs_are_related():
    x = torch.randn(1, 3, 64, 64)
    plain = nano(final_norm=False, out_indices=(0, 1, 2, 3)).eval()
    maps = plain(x)
    assert len(maps) == 4 and plain.out_channels == (16,) * 4

    def other(**options):
        backbone = nano(**options).eval()
        backbone.load_state_dict(plain.state_dict(), strict=False)
        return backbone

    normed = F.layer_norm(maps[3].permute(0, 2, 3, 1), (16,), eps=1e-6).permute(0, 3, 1, 2)
    torch.testing.assert_close(other()(x)[0], normed)
    mean = F.layer_norm(maps[3].mean((2, 3)), (16,), eps=1e-6)
    torch.testing.assert_close(other(out_type='avg_featmap')(x)[0], mean)
    one = other(out_type='pyramid')
    torch.testing.assert_close(one(x)[2], normed)
    torch.testing.assert_close(one(x)[3], F.max_pool2d(normed, 2))
    four = other(out_type='pyramid', final_norm=False, out_indices=(0, 1, 2, 3))
    torch.testing.assert_close(four(x)[2], maps[2])
    torch.testing.assert_close(four(x)[1], four.pyramid.up2(maps[1]))


def test_options_change_the_parameters():
    plain = count(nano())
    for arch in (
        VITAE,
        {**NANO, 'patch_size': 8},
        {**NANO, 'window_size': 5},
        {**NANO, 'attention': ('rvsa', 'full')},
        {**NANO, 'mlp_ratio': 2.0},
    ):
        assert count(nano(arch)) != plain, arch
    for options in (
        dict(out_type='pyramid'),
        dict(final_norm=False),
        dict(attention=('vsa', 'vsa', 'full')),
        dict(attention=dict(separate_windows=True)),
        dict(img_size=128),
        dict(qkv_bias=False),
        dict(in_channels=4),
    ):
        assert count(nano(**options)) != plain, options


@pytest.mark.parametrize(
    ('arch', 'options', 'message'),
    [
        ('xl', {}, "unknown arch 'xl' of RVSA; choose one of"),
        ({**NANO, 'width': 1}, {}, r"unknown: \['width'\]"),
        (dict(depth=1), {}, r"missing: \['embed_dims', 'num_heads'\]"),
        (NANO, dict(out_type='cls'), "out_type must be one of .* got 'cls'"),
        (
            NANO,
            dict(out_type='pyramid', out_indices=(0, 1)),
            r'from four, got out_indices \(0, 1\)',
        ),
        (NANO, dict(out_indices=(4,)), 'out_indices'),
    ],
)
def test_wrong_options_are_named(arch, options, message):
    with pytest.raises(ValueError, match=message):
        RVSA(arch, **options)


def official_file(backbone):
    """The state dict of a ViTAE with separate windows under the official names."""
    official = {}
    for key, value in backbone.state_dict().items():
        key = key.replace('patch_embed.projection', 'patch_embed.proj').replace('.pcm.', '.PCM.')
        key = key.replace('.position.', '.').replace('pyramid.up2', 'fpn2.0')
        key = key.replace('pyramid.up4.1', 'fpn1.1.ln').replace('pyramid.up4', 'fpn1')
        if 'transform.regressor' in key:
            keys, values = value.unflatten(0, (2, -1, 5)).unbind(0)
            last, prefix = key.rsplit('.', 1)[-1], key.split('transform')[0]
            for suffix, rows in (('k', keys), ('v', values)):
                parts = zip(('offsets', 'scales', 'angles'), rows.split((2, 2, 1), 1), strict=True)
                for kind, part in parts:
                    part = part.flatten(0, 1)
                    part = part[..., None, None] if last == 'weight' else part
                    official[f'{prefix}sampling_{kind}_{suffix}.2.{last}'] = part
        elif key.endswith('qkv.bias'):
            q, k, v = value.chunk(3)
            assert not k.any()
            official[key.replace('qkv.bias', 'q_bias')] = q
            official[key.replace('qkv.bias', 'v_bias')] = v
        else:
            official[key] = value
    return official


def test_authors_names_of_every_part():
    source = nano(VITAE, attention=dict(separate_windows=True), out_type='pyramid')
    for name, parameter in source.named_parameters():
        torch.nn.init.normal_(parameter)
        if name.endswith('qkv.bias'):
            parameter.data[16:32] = 0
    official = official_file(source)
    target = nano(VITAE, attention=dict(separate_windows=True), out_type='pyramid')
    report = load_pretrained(target, official)
    assert not report.missing and not report.unexpected and not report.mismatched
    for key, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[key], value), key
    assert not is_foreign(source.state_dict())


def test_a_pretrained_vit_with_class_token_and_decoder():
    own = nano()
    plain = {
        'patch_embed.proj.weight': own.patch_embed.projection.weight.detach(),
        'blocks.0.attn.qkv.weight': torch.ones(48, 16),
        'cls_token': torch.ones(1, 1, 16),
        'mask_token': torch.ones(1, 1, 8),
        'decoder_pred.bias': torch.ones(8),
        'pos_embed': torch.arange(17.0).view(1, 17, 1).expand(1, 17, 16),
        'head.weight': torch.ones(5, 16),
    }
    converted = convert_vit(plain)
    assert set(converted) == {
        'patch_embed.projection.weight',
        'blocks.0.attn.qkv.weight',
        'cls_token',
        'pos_embed',
        'head.fc.weight',
    }
    assert converted['pos_embed'][0, :, 0].tolist() == list(range(1, 17))
    report = load_pretrained(own, {**own.state_dict(), 'cls_token': converted['cls_token']})
    assert not report.unexpected and not report.missing  # RVSA has no class token


def test_kernels_of_pretraining_keep_their_meaning():
    """MAE's ViTAE has 1x1 kernels where the model has 3x3 ones."""
    backbone, kernel = nano(VITAE), torch.randn(64, 4, 1, 1)
    key = 'blocks.0.pcm.0.weight'
    report = load_pretrained(backbone, {**nano(VITAE).state_dict(), key: kernel})
    assert report.resized == [f'{key}: (64, 4, 1, 1) -> (64, 4, 3, 3)'] and not report.mismatched
    x = torch.randn(1, 16, 5, 6)
    torch.testing.assert_close(
        F.conv2d(x, backbone.blocks[0].pcm[0].weight, padding=1, groups=4),
        F.conv2d(x, kernel, groups=4),
    )
    other = load_pretrained(backbone, {**nano(VITAE).state_dict(), key: torch.zeros(64, 4, 2, 2)})
    assert len(other.mismatched) == 1


def test_positions_of_another_image_are_resized():
    small, large = nano(img_size=64), nano(img_size=96)
    report = load_pretrained(large, small.state_dict())
    # absolute positions, and the relative ones of the full attention
    assert report.resized == [
        'pos_embed: (1, 16, 16) -> (1, 36, 16)',
        'blocks.2.attn.position.rel_pos_h: (7, 8) -> (11, 8)',
        'blocks.2.attn.position.rel_pos_w: (7, 8) -> (11, 8)',
    ]


def test_keys_before_the_attention_vocabulary_warn_and_work():
    with pytest.warns(DeprecationWarning, match='full_every'):
        backbone = nano({**NANO, 'full_every': 2})
    kinds = [type(block.attn).__name__ for block in backbone.blocks]
    assert kinds == ['SampledWindowAttention', 'FullAttention'] * 2
    with pytest.warns(DeprecationWarning, match='separate_windows'):
        backbone = nano(separate_windows=True)
    assert backbone.blocks[0].attn.transform.num_heads == 4
