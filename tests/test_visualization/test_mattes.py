"""Mattes as images."""

import numpy as np

from mmvsa.visualization import checkerboard, compose, draw_matte


def test_compose_by_hand() -> None:
    image, background = np.full((1, 3, 3), 200, np.uint8), np.full((1, 3, 3), 100, np.uint8)
    composed = compose(image, np.array([[0.0, 0.25, 1.0]]), background)
    assert composed[0, :, 0].tolist() == [100, 125, 200]


def test_row_of_images() -> None:
    image, alpha = np.full((20, 30, 3), 7, np.uint8), np.ones((20, 30))
    row = draw_matte(image, alpha, 1 - alpha)
    parts = np.split(row, 4, axis=1)
    assert [int(part.mean()) for part in parts] == [7, 0, 255, 7]
    assert (draw_matte(image, 1 - alpha)[:, 60:] == checkerboard(20, 30)).all()
