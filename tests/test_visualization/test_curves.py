"""Training curves are written."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmvsa.visualization import draw_training_curve
from mmvsa.visualization.curves import _draw_metric
from mmvsa.visualization.figure import new_figure


@pytest.mark.parametrize('epochs', [0, 1, 3])
def test_draw_training_curve(tmp_path: Path, epochs: int) -> None:
    losses = np.linspace(2, 1, 5 * epochs + 2)
    metrics = {'top1': [(i + 1, 10.0 * i) for i in range(epochs)]} if epochs else {}
    path = draw_training_curve(tmp_path / 'curve.png', losses, 5, metrics, 'title')
    assert np.asarray(Image.open(path)).std() > 5


def test_iterations_and_losses_that_are_not_finite(tmp_path: Path) -> None:
    losses = [3.0, float('inf'), float('nan'), 1.0]
    metrics = {'top1': [(2, float('nan')), (4, 50.0)]}
    path = draw_training_curve(tmp_path / 'curve.png', losses, None, metrics)
    assert np.asarray(Image.open(path)).std() > 5


@pytest.mark.parametrize(('rule', 'best'), [('greater', 3.0), ('less', 1.0)])
def test_the_rule_chooses_the_best_value(rule: str, best: float) -> None:
    axis = new_figure(3, 3).subplots()
    _draw_metric(axis, 'SAD', [(1, 2.0), (2, 1.0), (3, 3.0)], rule, 'epoch')
    assert f'best {best:g} ' in axis.texts[0].get_text()
