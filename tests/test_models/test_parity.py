"""Agreement with outputs of the authors' code."""

import pytest
import torch
from reference import arrays, describe, image, normal, relative_error, state_dict

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
    path = tmp_path / 'authors.pth'
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
    # The authors keep a position for a class token that the model does not have.
    assert sum(p.numel() for p in model.parameters()) + 768 == info['num_params']
    with torch.no_grad():
        logits = model(image(1, 224, 224))
    assert relative_error(logits, arrays('RVSA_ViT_B')['logits']) < OUTPUT_TOLERANCE


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
    batch, _, height, width = info['input']
    with torch.no_grad():
        features = backbone(image(batch, height, width))
    for feature, expected in zip(features, info['features'], strict=True):
        assert list(feature.shape) == expected['shape']
        values = feature.flatten()[expected['index']]
        scale = torch.tensor(expected['value']).abs().max()
        error = (values - torch.tensor(expected['value'])).abs().max() / scale
        assert error < OUTPUT_TOLERANCE
        assert feature.mean().item() == pytest.approx(expected['mean'], abs=1e-4)
        assert feature.std().item() == pytest.approx(expected['std'], rel=1e-4)


@pytest.mark.parametrize(
    'reference',
    ['vsa_attention_14x14', 'vsa_attention_padded_10x12', 'vsa_attention_project_21x14'],
)
def test_attention_output_and_gradients(reference):
    info, expected = describe(reference), arrays(reference)
    args = info['args']
    attention = SampledWindowAttention(
        args['dim'],
        args['num_heads'],
        args['window_size'],
        out_dims=args['out_dim'],
        qk_scale=(args['dim'] // args['num_heads']) ** -0.5,
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
    for name, gradient in _gradients_by_authors_names(attention).items():
        theirs = expected['grad_' + name.replace('.', '__')]
        assert relative_error(gradient, theirs.reshape(gradient.shape)) < GRADIENT_TOLERANCE, name


def _gradients_by_authors_names(attention):
    """Our gradients under the authors' parameter names (regressors split into two)."""
    gradients = {name: p.grad for name, p in attention.named_parameters()}
    for last in ('weight', 'bias'):
        joined = gradients.pop(f'transform.regressor.{last}')
        offsets, scales = joined.unflatten(0, (-1, 4)).split(2, 1)
        gradients[f'sampling_offsets.2.{last}'] = offsets.flatten(0, 1)
        gradients[f'sampling_scales.2.{last}'] = scales.flatten(0, 1)
    return gradients
