"""Figures without a display."""

import numpy as np
from matplotlib import pyplot
from PIL import Image

from mmvsa.visualization.figure import new_figure, save, to_array


def test_a_figure_is_written_into_a_new_folder_and_stays_private(tmp_path) -> None:
    figure = new_figure(2, 1)
    figure.add_subplot().plot([0, 1])
    path = save(figure, tmp_path / 'new' / 'line.png')
    assert np.asarray(Image.open(path)).shape[:2] == (150, 300)
    assert not pyplot.get_fignums()


def test_a_figure_as_an_array() -> None:
    array = to_array(new_figure(2, 1, dpi=50, facecolor=(1, 0, 0)))
    assert array.shape == (50, 100, 3) and array.dtype == np.uint8
    assert (array == (255, 0, 0)).all()
