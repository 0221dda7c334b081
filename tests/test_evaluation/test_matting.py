"""Matting metrics against the official evaluation, and by hand."""

import math

import numpy as np
import pytest
import torch
from helpers.reference import ROOT
from mmengine.structures import BaseDataElement

from mmvsa.evaluation import MattingMetric
from mmvsa.evaluation.matting import matte_errors

OFFICIAL = {'SAD_TRIMAP': 'SAD-T', 'MSE_TRIMAP': 'MSE-T', 'MAD_TRIMAP': 'MAD-T'}
OFFICIAL |= {'SAD_FG': 'SAD-FG', 'SAD_BG': 'SAD-BG'}


@pytest.mark.parametrize('index', [1, 2])
def test_agreement(index: int) -> None:
    with np.load(ROOT / f'matting_metrics_{index}.npz') as stored:
        alphas = [np.float32(stored[key]) / np.float32(255) for key in ('pred', 'alpha')]
        errors = matte_errors(*alphas, stored['trimap'])  # type: ignore[call-arg]
        expected = dict(zip(stored['names'].tolist(), stored['values'].tolist(), strict=True))
    expected = {OFFICIAL.get(name, name): value for name, value in expected.items()}
    assert errors == pytest.approx(expected, rel=1e-5)


def test_identical_mattes_have_no_error() -> None:
    alpha = np.random.rand(20, 30)
    trimap = np.full((20, 30), 128, np.uint8)
    assert set(matte_errors(alpha, alpha, trimap).values()) == {0.0}
    for value in (0.0, 1.0):
        plain = np.full((3, 5), value)
        assert set(matte_errors(plain, plain).values()) == {0.0}


def test_regions_by_hand() -> None:
    alpha, target = np.full((2, 2), 0.5), np.array([[1.0, 0.0], [1.0, 0.25]])
    errors = matte_errors(alpha, target, np.array([[255, 0], [128, 128]], np.uint8), fast=True)
    expected = {'SAD': 1.75e-3, 'MAD': 1.75 / 4, 'MSE': 0.8125 / 4, 'SAD-T': 0.75e-3}
    expected |= {'MAD-T': 0.75 / 2, 'MSE-T': 0.3125 / 2, 'SAD-FG': 0.5e-3, 'SAD-BG': 0.5e-3}
    assert errors == pytest.approx(expected)


def test_no_transition() -> None:
    target, trimap = np.ones((2, 2)), np.full((2, 2), 255, np.uint8)
    assert matte_errors(target * 0, target, trimap)['MAD-T'] == 0  # known to be foreground
    assert math.isnan(matte_errors(target * 0, target * 0, trimap)['MAD-T'])


def sample(alpha: float, target: int, trimap: int | None = None) -> dict:
    element = BaseDataElement(pred_alpha=torch.full((1, 4, 4), alpha))
    element.gt_alpha = torch.full((1, 4, 4), target, dtype=torch.uint8)
    if trimap is not None:
        element.gt_trimap = torch.full((1, 4, 4), trimap, dtype=torch.uint8)
    return element.to_dict()


def test_metric_averages_images_and_rounds_down() -> None:
    metric = MattingMetric(fast=True)
    metric.process({}, [sample(1.0, 255), sample(0.999, 255)])
    means = metric.evaluate(2)
    assert set(means) == {'matting/SAD', 'matting/MSE', 'matting/MAD'}
    assert means['matting/MAD'] == pytest.approx(0.5 / 255)
    metric = MattingMetric(quantize=False)
    metric.process({}, [sample(0.999, 255)])
    assert metric.evaluate(1)['matting/MAD'] == pytest.approx(1e-3, rel=1e-3)


def test_images_without_transition_do_not_count() -> None:
    metric = MattingMetric(fast=True)
    metric.process({}, [sample(0.0, 0, 255), sample(1.0, 0, 128)])
    means = metric.evaluate(2)
    assert means['matting/MAD-T'] == 1 and means['matting/SAD-T'] == pytest.approx(16e-3)
