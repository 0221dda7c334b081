"""P3M-Net against the official implementation, on inputs of any size, in any precision."""

import pytest
import torch
from helpers.matting import REFERENCES, official_model, tiny_model
from helpers.reference import arrays, describe, normal, relative_error
from torch import Tensor

from mmvsa import get_model

TOLERANCE = 1e-4
MEAN, STD = (
    torch.tensor(x)[:, None, None] for x in ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
)


@pytest.fixture(scope='module')
def model() -> torch.nn.Module:
    return official_model()


def close(value: Tensor, expected: dict) -> bool:
    assert list(value.shape) == expected['shape']
    stored = torch.tensor(expected['value'])
    return relative_error(value.flatten()[expected['index']], stored) < TOLERANCE


@torch.no_grad()
@pytest.mark.parametrize('name', REFERENCES)
def test_agreement(name: str) -> None:
    info, expected, model = describe(name), arrays(name), official_model(name)
    images = normal(info['seed'], tuple(info['input']))
    features, outputs = model.backbone.encode(images), model(images)
    assert all(map(close, features.maps, info['features']))
    for value, stored in zip(features.indices, info['pooling_indices'], strict=True):
        assert value.sum().item() == stored['sum']
        assert value.flatten()[stored['index']].tolist() == stored['value']
    maps = dict(glance=outputs.glance, focus=outputs.focus.logit(), fused=outputs.fused)
    maps |= {f'glance_side{2 - i}': side for i, side in enumerate(outputs.sides)}
    expected['focus'] = expected['focus'].logit()
    for key, value in maps.items():
        stride = info['outputs'][key]['stride']
        assert relative_error(value[..., ::stride, ::stride], expected[key]) < TOLERANCE, key
    patch = outputs.focus[..., 32:96, 64:128].logit()
    assert relative_error(patch, expected['focus_patch'].logit()) < TOLERANCE


def test_parameters_and_gradients(model: torch.nn.Module) -> None:
    unused = 513_000 + 256  # the classifier, and norms that the forward pass does not call
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == describe(REFERENCES[0])['num_params'] - unused
    outputs = model(normal(0, (1, 3, 64, 32)))
    (outputs.glance.sum() + outputs.focus.sum() + sum(s.sum() for s in outputs.sides)).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    model.zero_grad()


@torch.no_grad()
@pytest.mark.parametrize('mode', ['resize', 'hybrid'])
def test_inference(model: torch.nn.Module, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = arrays('matting_infer_P3MNet_ViTAE_S')
    monkeypatch.setitem(model.test_cfg, 'mode', mode)
    image = (expected['image'].permute(2, 0, 1) - MEAN) / STD
    alpha = model(image[None], mode='predict')[0].pred_alpha
    assert alpha.shape == (1, 237, 333)
    error = (alpha[0, ::3, ::3] - expected[mode]).abs()
    # The official implementation resizes with scikit-image, whose borders differ.
    assert error.mean() < 1e-3 and (error < 1e-2).float().mean() > 0.99


@torch.no_grad()
@pytest.mark.parametrize('mode', ['resize', 'hybrid', 'whole'])
@pytest.mark.parametrize('size', [(32, 32), (40, 50), (1, 1), (97, 33)])
def test_any_size(model: torch.nn.Module, mode: str, size: tuple, monkeypatch) -> None:
    monkeypatch.setitem(model.test_cfg, 'mode', mode)
    images = normal(3, (1, 3, *size))
    assert model(images).fused.shape == (1, 1, *size)
    alpha = model(images, mode='predict')[0].pred_alpha
    assert alpha.shape == (1, *size) and alpha.min() >= 0 and alpha.max() <= 1
    maps = model.backbone(images)
    sizes = [tuple(-(-length // stride) for length in size) for stride in (4, 8, 16, 32)]
    assert [tuple(m.shape[-2:]) for m in maps] == sizes


@torch.no_grad()
def test_max_size_bounds_every_pass(model: torch.nn.Module, monkeypatch) -> None:
    seen = []
    hook = model.backbone.register_forward_pre_hook(lambda _, x: seen.append(x[0].shape))
    encode = model.backbone.encode
    monkeypatch.setattr(model.backbone, 'encode', lambda x: seen.append(x.shape) or encode(x))  # type: ignore[func-returns-value]
    monkeypatch.setitem(model.test_cfg, 'max_size', 64)
    for mode in ('resize', 'hybrid', 'whole'):
        monkeypatch.setitem(model.test_cfg, 'mode', mode)
        assert model(normal(3, (1, 3, 200, 90)), mode='predict')[0].pred_alpha.shape[1:] == (
            200,
            90,
        )
    hook.remove()
    assert max(max(shape[-2:]) for shape in seen) == 64


def test_wrong_input(model: torch.nn.Module) -> None:
    with pytest.raises(ValueError, match='multiples of 32'):
        model.backbone.encode(torch.zeros(1, 3, 48, 64))
    with pytest.raises(ValueError, match='mode'):
        model(torch.zeros(1, 3, 32, 32), mode='tensors')
    with pytest.raises(ValueError, match='test_cfg.mode'):
        get_model('p3m-net_vitae-s', test_cfg=dict(mode='hybird'))
    with pytest.raises(ValueError, match='max_size'):
        get_model('p3m-net_vitae-s', test_cfg=dict(max_size=16))


def test_checkpointing_changes_nothing() -> None:
    model, images, gradients = tiny_model(), normal(1, (2, 3, 64, 64)), []
    for with_cp in (False, True):
        model.backbone.with_cp = with_cp
        model.zero_grad()
        model(images).focus.sum().backward()
        gradients.append(
            [p.grad.clone() for p in model.backbone.parameters() if p.grad is not None]
        )
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*gradients, strict=True))


def test_precisions() -> None:
    model, images = tiny_model().eval(), normal(1, (1, 3, 64, 32))
    with torch.no_grad():
        plain = model(images).focus
        with torch.autocast('cpu', torch.bfloat16):
            half = model(images)
        assert half.focus.dtype == half.glance.dtype == torch.float32
        assert (half.focus - plain).abs().mean() < 0.02
        assert (model.double()(images.double()).focus - plain).abs().max() < 1e-4


def test_deterministic_mode() -> None:
    model = tiny_model()
    torch.use_deterministic_algorithms(True)
    try:
        model(normal(1, (1, 3, 64, 32))).focus.sum().backward()
    finally:
        torch.use_deterministic_algorithms(False)
