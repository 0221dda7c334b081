"""MatteScenes: drawn once, exactly composed, the same everywhere."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mmvsa.datasets import DatasetError, MatteScenes
from mmvsa.datasets.images import write_image
from mmvsa.datasets.matte_scenes import LAYERS, MatteSettings, render_matte_scene

FEW = dict(num=2, num_val=1, size=64)


def read(folder: Path, layer: str) -> np.ndarray:
    return cv2.imread(str(folder / layer / '000000.png'), cv2.IMREAD_UNCHANGED)  # type: ignore[return-value]


def test_generated_at_load(tmp_path: Path) -> None:
    root = tmp_path / 'scenes'
    assert len(MatteScenes(str(root), settings=FEW)) == 2
    assert len(MatteScenes(str(root), 'val', settings=FEW)) == 1
    with pytest.raises(DatasetError, match='does not hold the MatteScenes'):
        MatteScenes(str(root), settings=dict(FEW, seed=1))


def test_mattes_of_yours_are_read(tmp_path: Path) -> None:
    """Where no settings are asked for, as after ``--cfg-options data_root=FOLDER``."""
    for layer in LAYERS:
        write_image(tmp_path / 'train' / layer / 'a.png', np.zeros((8, 8), np.uint8))
    assert len(MatteScenes(str(tmp_path))) == 1
    (tmp_path / 'train/alpha/a.png').unlink()
    with pytest.raises(DatasetError, match='has no images'):
        MatteScenes(str(tmp_path))


def test_layers_compose_to_the_image(tmp_path: Path) -> None:
    MatteScenes(str(tmp_path / 'scenes'), settings=FEW)
    folder = tmp_path / 'scenes/val'
    image, alpha, foreground, background = (read(folder, layer) for layer in LAYERS)
    opacity = alpha[..., None] / 255
    composed = opacity * foreground + (1 - opacity) * background
    assert np.abs(composed - image).max() <= 0.5 + 1e-6
    assert 0.1 < opacity.mean() < 0.6 and ((alpha > 0) & (alpha < 255)).mean() > 0.02


def test_a_scene_depends_on_its_index_alone() -> None:
    scene = render_matte_scene(64, 0, 'val', 3)
    again, other = render_matte_scene(64, 0, 'val', 3), render_matte_scene(64, 1, 'val', 3)
    assert all((scene[layer] == again[layer]).all() for layer in LAYERS)
    assert (scene['alpha'] != other['alpha']).any()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num=0), 'num must be at least 1, got 0'),
        (dict(num_val=0), 'num_val must be at least 1'),
        (dict(size=16), 'size must be at least 32, got 16'),
        (dict(seed=-1), 'seed must be at least 0, got -1'),
    ],
)
def test_settings_are_checked(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MatteSettings(**options)


def test_wrong_split(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'train', 'val'"):
        MatteScenes(str(tmp_path), 'test')
