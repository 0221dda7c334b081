"""Training curves are written."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmvsa.visualization import draw_training_curve


@pytest.mark.parametrize('epochs', [0, 1, 3])
def test_draw_training_curve(tmp_path: Path, epochs: int) -> None:
    losses = np.linspace(2, 1, 5 * epochs + 2)
    metrics = {'top1': [(i + 1, 10.0 * i) for i in range(epochs)]} if epochs else {}
    path = draw_training_curve(tmp_path / 'curve.png', losses, 5, metrics, 'title')
    assert np.asarray(Image.open(path)).std() > 5
