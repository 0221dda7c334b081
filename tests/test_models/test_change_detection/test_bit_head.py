"""BIT: agreement with the official code, sizes, other backbones."""

import pytest
import torch
from helpers.pairs import sample
from helpers.reference import arrays, describe, normal, relative_error, sampled_error, state_dict
from mmengine.registry import init_default_scope

from mmvsa import get_model
from mmvsa.models import load_pretrained
from mmvsa.models.change_detection import BITHead
from mmvsa.models.change_detection.bit_head import TokenAttention
from mmvsa.registry import MODELS

TOLERANCE = 1e-4


def images():
    info = describe('BIT_ViTAEv2_S')
    return tuple(normal(seed, tuple(info['input'])) for seed in info['seeds'])


@pytest.fixture(scope='module')
def official():
    """The model with the weights of the reference, its maps and its logits."""
    torch.manual_seed(0)
    model = get_model('bit_vitaev2-s').eval()
    report = load_pretrained(model, state_dict('BIT_ViTAEv2_S'))
    assert not report.missing and not report.unexpected and not report.mismatched
    kept = {}
    head = model.decode_head
    for name in ('project', 'classifier'):
        getattr(head, name).register_forward_hook(
            lambda module, inputs, output, name=name: kept.setdefault(name, []).append(
                (inputs[0], output)
            )
        )
    with torch.no_grad():
        logits = model(images(), mode='tensor')
    return model, kept, logits


def test_logits_agree_with_the_official_code(official):
    _, _, logits = official
    info, expected = describe('BIT_ViTAEv2_S'), arrays('BIT_ViTAEv2_S')
    stride = info['outputs']['logits']['stride']
    assert list(logits.shape) == info['outputs']['logits']['shape']
    assert relative_error(logits[:, :, ::stride, ::stride], expected['logits']) < TOLERANCE
    assert relative_error(logits[:1, :, :48, -48:], expected['logits_patch']) < TOLERANCE
    counts = torch.bincount(logits.argmax(1).flatten(), minlength=2)
    # The closest pixel is nearer to a flip than rounding.
    assert abs(counts[1].item() - info['classes'][1]) <= 2


@torch.no_grad()
def test_every_step_agrees_with_the_official_code(official):
    model, kept, _ = official
    head = model.decode_head
    maps = [output for _, output in kept['project']]
    tokens = [head.tokenize(x) for x in maps]
    encoded = head.encode_tokens(tokens)
    decoded = [head.decode(x, t) for x, t in zip(maps, encoded, strict=True)]
    steps = {
        'map1': maps[0],
        'map2': maps[1],
        'tokens1': tokens[0],
        'tokens2': tokens[1],
        'encoder_output': torch.cat(encoded, 1),
        'decoded1': decoded[0],
        'decoded2': decoded[1],
        'difference': (decoded[0] - decoded[1]).abs(),
        'difference_x8': kept['classifier'][0][0],
    }
    for name, value in steps.items():
        expected = describe('BIT_ViTAEv2_S')['intermediate'][name]
        assert sampled_error(value, expected) < TOLERANCE, name


def test_only_what_has_no_influence_is_missing(official):
    """The official model holds a fourth stage, norms and position tables that it never uses."""
    model, _, _ = official
    info = describe('BIT_ViTAEv2_S')
    outside = ('backbone.layers.3.', 'backbone.norm')
    unused = sum(
        torch.Size(shape).numel()
        for key, shape in info['state_dict']
        if key.startswith(outside) or key.endswith('relative_position_bias_table')
        if 'running_' not in key
    )
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == info['num_params'] - unused


def test_images_of_a_pair_are_not_interchangeable(official):
    model, _, logits = official
    before, after = images()
    with torch.no_grad():
        swapped = model((after, before), mode='tensor')
    assert relative_error(swapped, logits) > 0.1


def test_attention_by_hand():
    """Scaled by all channels, not by those of a head; heads one after the other."""
    attention = TokenAttention(dims=6, num_heads=2, head_dims=4).double()
    x, tokens = torch.randn(1, 5, 6).double(), torch.randn(1, 3, 6).double()
    heads = []
    for head in range(2):
        part = slice(4 * head, 4 * head + 4)
        of_q, of_k, of_v = (weight[part] for weight in attention.qkv.weight.split(8))
        q, k, v = x[0] @ of_q.T, tokens[0] @ of_k.T, tokens[0] @ of_v.T
        heads.append((q @ k.T * 6**-0.5).softmax(-1) @ v)
    expected = torch.cat(heads, 1) @ attention.proj.weight.T + attention.proj.bias
    torch.testing.assert_close(attention(x, tokens)[0], expected)


def test_tokens_are_weighted_means_of_pixels():
    head = BITHead(in_channels=8, channels=6, num_tokens=2)
    torch.nn.init.zeros_(head.token_scores.weight)
    x = torch.randn(2, 6, 3, 5)
    mean = x.mean((2, 3))[:, None].expand(2, 2, 6)
    torch.testing.assert_close(head.tokenize(x), mean)


@pytest.mark.parametrize(('upscale', 'side'), [(1, 4), (2, 8), (4, 16)])
def test_upscale_sets_the_size(upscale, side):
    head = BITHead(in_channels=8, channels=8, decoder_depth=1, upscale=upscale).eval()
    logits = head([torch.randn(1, 16, 3, 5)])
    assert logits.shape == (1, 2, 3 * side, 5 * side)


@pytest.mark.parametrize('option', ['num_tokens', 'num_heads', 'upscale'])
def test_counts_must_be_positive(option):
    with pytest.raises(ValueError, match=f'{option} must be at least 1, got 0'):
        BITHead(in_channels=8, **{option: 0})


@pytest.mark.parametrize(
    ('option', 'value'),
    [
        ('channels', 16),
        ('num_tokens', 2),
        ('encoder_depth', 2),
        ('decoder_depth', 1),
        ('num_heads', 2),
        ('head_dims', 8),
        ('mlp_ratio', 4.0),
    ],
)
def test_every_option_changes_the_parameters(option, value):
    def count(**options):
        return sum(p.numel() for p in BITHead(in_channels=8, **options).parameters())

    assert count(**{option: value}) != count()


TINY = dict(
    embed_dims=(4, 4, 8),
    token_dims=(8, 8, 16),
    depths=(1, 1, 1),
    num_heads=(1, 1, 2),
    rc_heads=(1, 1, 2),
    attention=('window', 'vsa', 'full'),
    nc_groups=(1, 1, 1),
    rc_groups=(1, 1, 1),
    window_size=4,
)


@pytest.mark.parametrize(
    ('backbone', 'in_channels'),
    [
        (dict(type='mmvsa.ViTAEv2', arch=TINY, out_indices=(2,)), 16),
        (dict(type='mmseg.ResNetV1c', depth=18, out_indices=(2,)), 256),
        (dict(type='mmvsa.SwinVSA', arch='t', out_indices=(2,)), 384),
    ],
)
def test_any_backbone_trains(backbone, in_channels):
    init_default_scope('mmseg')
    model = MODELS.build(
        dict(
            type='mmvsa.SiamEncoderDecoder',
            backbone=backbone,
            neck=dict(type='mmvsa.FeatureFusionNeck'),
            decode_head=dict(type='mmvsa.BITHead', in_channels=in_channels, decoder_depth=1),
        )
    ).train()
    changed = (torch.rand(2, 64, 96) > 0.9).long()
    losses = model(torch.randn(2, 6, 64, 96), [sample(c) for c in changed], mode='loss')
    losses['decode.loss_ce'].backward()
    gradients = {name: p.grad for name, p in model.decode_head.named_parameters()}
    assert all(g is not None and g.isfinite().all() for g in gradients.values())
    # A bias before the absolute difference of two maps and the like may have none.
    assert gradients['token_position'].abs().sum() > 0
    assert gradients['project.weight'].abs().sum() > 0


def test_loss_is_the_mean_cross_entropy_of_all_pixels():
    init_default_scope('mmseg')
    head = BITHead(in_channels=8, channels=8, decoder_depth=1)
    logits, changed = torch.randn(2, 2, 8, 8), (torch.rand(2, 8, 8) > 0.5).long()
    loss = head.loss_by_feat(logits, [sample(c) for c in changed])['loss_ce']
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, changed))
