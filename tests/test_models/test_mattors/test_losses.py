"""The losses against the official implementation's values and gradients."""

import numpy as np
import pytest
import torch
from helpers.reference import ROOT, normal, relative_error
from mmengine.structures import BaseDataElement

from mmvsa.models.mattors import MatteOutputs
from mmvsa.models.mattors.heads import MattingHead
from mmvsa.models.mattors.losses import alpha_loss, laplacian_kernel, laplacian_loss

TOLERANCE = 1e-5


def leaves() -> dict[str, torch.Tensor]:
    names = ('glance', 'side2', 'side1', 'side0')
    maps = {name: normal(i + 1, (2, 3, 96, 64)) for i, name in enumerate(names)}
    maps |= {name: normal(i, (2, 1, 96, 64)).sigmoid() for i, name in ((5, 'focus'), (6, 'fused'))}
    return {name: value.requires_grad_() for name, value in maps.items()}


def samples(expected: dict) -> list[BaseDataElement]:
    foreground, background = normal(8, (2, 3, 96, 64)), normal(9, (2, 3, 96, 64))
    return [
        BaseDataElement(
            gt_alpha=expected['alpha'][i],
            gt_trimap=expected['trimap'][i],
            gt_foreground=foreground[i],
            gt_background=background[i],
        )
        for i in range(2)
    ]


def outputs(maps: dict[str, torch.Tensor]) -> MatteOutputs:
    sides = (maps['side2'], maps['side1'], maps['side0'])
    return MatteOutputs(maps['glance'], maps['focus'], maps['fused'], sides)


def load() -> dict:
    with np.load(ROOT / 'matting_losses.npz') as stored:
        values = dict(zip(stored['names'].tolist(), stored['values'].tolist(), strict=True))
        tensors = {k: torch.from_numpy(stored[k]) for k in stored.files if k != 'names'}
    return {**tensors, 'values': values}


def test_values_and_gradients() -> None:
    expected, maps = load(), leaves()
    losses = MattingHead().loss(outputs(maps), normal(7, (2, 3, 96, 64)), samples(expected))
    total = sum(losses.values())
    values = expected['values']
    sides = sum(values[f'ce_side{i}'] for i in range(3))
    by_hand = dict(
        loss_glance=(sides + 3 * values['ce_glance']) / 6,
        loss_focus=2 * (values['alpha_focus'] + values['laplacian_focus']),
        loss_fused=3 * (values['alpha_fused'] + values['laplacian_fused']),
        loss_composition=values['composition_fused'],
    )
    assert {k: v.item() for k, v in losses.items()} == pytest.approx(by_hand, rel=TOLERANCE)
    assert total.item() == pytest.approx(values['total'], rel=TOLERANCE)
    total.backward()
    for name, value in maps.items():
        assert relative_error(value.grad[..., ::3, ::3], expected[f'grad_{name}']) < TOLERANCE


def test_kernel() -> None:
    assert relative_error(laplacian_kernel(), load()['laplacian_kernel']) < 1e-6


def test_without_composition_foregrounds_are_not_needed() -> None:
    expected = load()
    plain = samples(expected)
    for sample in plain:
        del sample.gt_foreground
    images = normal(7, (2, 3, 96, 64))
    losses = MattingHead(dict(composition=0)).loss(outputs(leaves()), images, plain)
    assert set(losses) == {'loss_glance', 'loss_focus', 'loss_fused'}
    with pytest.raises(ValueError, match='composition=0'):
        MattingHead().loss(outputs(leaves()), images, plain)
    with pytest.raises(ValueError, match='loss_weights'):
        MattingHead(dict(fussed=1.0))


def test_perfect_alpha_in_float64() -> None:
    alpha = torch.rand(1, 1, 64, 32, dtype=torch.float64)
    assert laplacian_loss(alpha, alpha) == 0
    assert alpha_loss(alpha, alpha).item() == pytest.approx(1e-6)
    # Without a transition the mask is empty: only the epsilon of each pixel is left.
    empty = torch.zeros_like(alpha)
    assert alpha_loss(alpha, 1 - alpha, empty).item() == pytest.approx(64 * 32 * 1e-6)
    with pytest.raises(ValueError, match='32 pixels'):
        laplacian_loss(alpha[..., :16], alpha[..., :16])
