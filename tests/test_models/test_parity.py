"""Agreement with outputs of the official implementations."""

import pytest
import torch
from helpers.reference import (
    arrays,
    describe,
    image,
    normal,
    relative_error,
    sampled_error,
    state_dict,
)

from mmvsa import get_model
from mmvsa.models import SampledWindowAttention, convert_vitaev2, load_pretrained
from mmvsa.registry import MODELS

OUTPUT_TOLERANCE, GRADIENT_TOLERANCE = 1e-4, 1e-3


@pytest.mark.parametrize(
    ('name', 'reference'),
    [
        ('vitaev2-s', 'ViTAEv2_S'),
        ('vitaev2-s-vsa', 'ViTAEv2_VSA_S'),
        ('vitaev2-s-vsa-widepcm', 'ViTAEv2_VSA_widePCM_S'),
        ('swin-t-vsa', 'SwinVSA_T'),
        ('qformer-t', 'QFormer_T'),
        ('vitae-tiny', 'ViTAE_basic_Tiny'),
        ('vitae-6m', 'ViTAE_basic_6M'),
    ],
)
def test_logits(name, reference, tmp_path):
    info = describe(reference)
    path = tmp_path / 'official.pth'
    torch.save({'state_dict': {f'module.{k}': v for k, v in state_dict(reference).items()}}, path)
    model = get_model(name, pretrained=path).eval()
    # Random projections, which never train, are parameters there and buffers here.
    projections = sum(b.numel() for k, b in model.named_buffers() if k.endswith('directions'))
    assert sum(p.numel() for p in model.parameters()) + projections == info['num_params']
    batch, _, height, width = info['input']
    with torch.no_grad():
        logits = model(image(batch, height, width))
    assert relative_error(logits, arrays(reference)['logits']) < OUTPUT_TOLERANCE


def test_logits_of_rvsa():
    info = describe('RVSA_ViT_B')
    model = get_model('rvsa-vit-b', num_classes=51).eval()
    report = load_pretrained(model, state_dict('RVSA_ViT_B'))
    assert not report.missing and not report.unexpected and not report.mismatched
    # The official model keeps a position for a class token that it does not have.
    assert sum(p.numel() for p in model.parameters()) + 768 == info['num_params']
    with torch.no_grad():
        logits = model(image(1, 224, 224))
    assert relative_error(logits, arrays('RVSA_ViT_B')['logits']) < OUTPUT_TOLERANCE


def test_performer_that_attends():
    """Other references leave the Performer's denominator to its epsilon; in this one it attends."""
    reference = 'ViTAE_basic_6M_live'
    info, weights = describe(reference), state_dict(reference)
    model = get_model('vitae-6m', backbone=dict(out_indices=(0, 1, 2))).eval()
    report = load_pretrained(model, weights)
    assert not report.missing and not report.unexpected and not report.mismatched
    with torch.no_grad():
        features = model.backbone(image(2, 224, 224))
        logits = model.head(model.neck(features))
    for feature, expected in zip(features, info['features'], strict=True):
        assert sampled_error(feature, expected) < OUTPUT_TOLERANCE
    assert relative_error(logits, arrays(reference)['logits']) < OUTPUT_TOLERANCE
    # The random features matter: others are far outside the tolerance.
    for name, directions in model.named_buffers():
        if name.endswith('directions'):
            directions.copy_(directions.flip(1))
    with torch.no_grad():
        other = model(image(2, 224, 224))
    assert relative_error(other, logits) > 100 * OUTPUT_TOLERANCE


@pytest.mark.parametrize(
    ('reference', 'arch', 'attention'),
    [
        ('dense_ViTAEv2_S_192x256', 's', None),
        ('dense_ViTAEv2_VSA_S_224x224', 's-vsa', None),
        ('dense_ViTAEv2_VSA_S_256x256', 's-vsa', dict(padding='center')),
    ],
)
def test_dense_features(reference, arch, attention):
    info = describe(reference)
    backbone = MODELS.build(
        dict(type='mmvsa.ViTAEv2', arch=arch, out_indices=(0, 1, 2, 3), attention=attention)
    ).eval()
    report = load_pretrained(backbone, state_dict(reference))
    assert not report.missing and not report.unexpected
    assert sum(p.numel() for p in backbone.parameters()) == info['num_params']
    assert_features(backbone, info)


@pytest.mark.parametrize(
    'reference', ['dense_RSP_ViTAEv2_S_192x256', 'dense_RSP_ViTAEv2_S_200x264']
)
def test_windows_padded_at_the_end(reference):
    """RSP's ViTAEv2 pads its windows on the right and at the bottom."""
    info = describe(reference)
    stages = tuple(range(len(info['features'])))
    config = dict(type='mmvsa.ViTAEv2', arch='s', attention=dict(padding='end'))
    backbone = MODELS.build(dict(config, out_indices=stages)).eval()
    report = load_pretrained(backbone, state_dict(reference))
    assert not report.missing and not report.unexpected and not report.mismatched
    assert_features(backbone, info)


@pytest.mark.parametrize(
    ('part', 'options'),
    [
        ('features', {}),
        ('pyramid', dict(out_type='pyramid')),
        ('detector', dict(out_type='pyramid', attention=(None, None, dict(position=None)))),
    ],
)
def test_maps_of_mtp(part, options):
    """Of classifiers and change detectors, of segmentors, and of detectors; maps of 10 x 10."""
    info = describe('MTP_ViT_160')
    arch = dict(embed_dims=32, depth=6, num_heads=2)
    config = dict(type='mmvsa.RVSA', arch=arch, img_size=160, out_indices=(1, 2, 3, 5))
    backbone = MODELS.build({**config, 'final_norm': False, **options}).eval()
    weights = state_dict('MTP_ViT_160')
    if part == 'detector':
        weights = {key: value for key, value in weights.items() if 'full_attn' not in key}
        weights = {key: value for key, value in weights.items() if not key.startswith('norm.')}
    report = load_pretrained(backbone, weights)
    assert not report.missing and not report.unexpected and not report.mismatched
    if part == 'pyramid':  # the official model has a norm that it never uses
        assert sum(p.numel() for p in backbone.parameters()) + 2 * 32 == info['num_params']
    assert_features(backbone, info, part)


def assert_features(backbone, info, part='features'):
    batch, _, height, width = info['input']
    with torch.no_grad():
        features = backbone(image(batch, height, width))
    for feature, expected in zip(features, info[part], strict=True):
        assert sampled_error(feature, expected) < OUTPUT_TOLERANCE
        assert feature.mean().item() == pytest.approx(expected['mean'], abs=1e-4)
        assert feature.std().item() == pytest.approx(expected['std'], rel=1e-4)


# The windows of the official detection code.
DENSE = dict(padding='center', transform=dict(type='VariedSizeWindow', offset_unit='swapped'))


@pytest.mark.parametrize(
    ('reference', 'options'),
    [
        ('vsa_attention_14x14', {}),
        ('vsa_attention_padded_10x12', {}),
        ('vsa_attention_project_21x14', {}),
        ('vsa_attention_dense_10x24', DENSE),
    ],
)
def test_attention_output_and_gradients(reference, options):
    info, expected = describe(reference), arrays(reference)
    args = info['args']
    attention = SampledWindowAttention(
        args['dim'],
        args['num_heads'],
        args['window_size'],
        out_dims=args['out_dim'],
        qk_scale=(args['dim'] // args['num_heads']) ** -0.5,
        **options,
    )
    converted = convert_vitaev2({f'attn.{k}': v for k, v in state_dict(reference).items()})
    attention.load_state_dict({k[len('attn.') :]: v for k, v in converted.items()})
    assert sum(p.numel() for p in attention.parameters()) == info['num_params']
    out_shape = expected['output'].shape
    x = normal(1, (out_shape[0], args['dim'], args['height'], args['width'])).requires_grad_()
    out = attention(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    assert relative_error(out, expected['output']) < OUTPUT_TOLERANCE
    out.backward(normal(2, tuple(out_shape)))
    assert relative_error(x.grad, expected['grad_input']) < GRADIENT_TOLERANCE
    for name, gradient in _gradients_by_official_names(attention).items():
        reference_gradient = expected['grad_' + name.replace('.', '__')].reshape(gradient.shape)
        assert relative_error(gradient, reference_gradient) < GRADIENT_TOLERANCE, name


def _gradients_by_official_names(attention):
    """Return the gradients under the official parameter names (regressors split into two)."""
    gradients = {name: p.grad for name, p in attention.named_parameters()}
    for last in ('weight', 'bias'):
        joined = gradients.pop(f'transform.regressor.{last}')
        offsets, scales = joined.unflatten(0, (-1, 4)).split(2, 1)
        gradients[f'sampling_offsets.2.{last}'] = offsets.flatten(0, 1)
        gradients[f'sampling_scales.2.{last}'] = scales.flatten(0, 1)
    return gradients
