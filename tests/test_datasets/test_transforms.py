"""Loading of images from files and from memory."""

from pathlib import Path

import numpy as np
from PIL import Image

from mmvsa.datasets import LoadImage


def test_load_image(tmp_path: Path) -> None:
    path = tmp_path / 'image.png'
    Image.new('RGB', (6, 4), (255, 0, 0)).save(path)
    loaded = LoadImage()(dict(img_path=str(path)))
    assert loaded['img'].shape == (4, 6, 3) and loaded['img'][0, 0].tolist() == [0, 0, 255]  # BGR
    given = np.zeros((2, 2, 3), np.uint8)
    assert LoadImage()(dict(img=given))['img'] is given
