"""MatteScenes: drawn once, exactly composed, the same everywhere."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmvsa.datasets import MatteScenes
from mmvsa.datasets.matte_scenes import LAYERS, render_matte_scene

FEW = dict(num=2, num_val=1, size=64)


def read(folder: Path, layer: str) -> np.ndarray:
    return cv2.imread(str(folder / layer / '000000.png'), cv2.IMREAD_UNCHANGED)  # type: ignore[return-value]


def test_written_once(tmp_path: Path) -> None:
    root = tmp_path / 'scenes'
    dataset = MatteScenes(str(root), settings=FEW)
    assert len(dataset) == 2 and len(MatteScenes(str(root), 'val', settings=FEW)) == 1
    assert os.listdir(tmp_path) == ['scenes']
    written = (root / 'train/image/000000.png').stat().st_mtime_ns
    assert len(MatteScenes(str(root))) == 2  # None takes what is there
    assert (root / 'train/image/000000.png').stat().st_mtime_ns == written
    with pytest.raises(ValueError, match='does not hold the scenes'):
        MatteScenes(str(root), settings=dict(FEW, seed=1))


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


def test_an_interrupted_run_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr('mmvsa.datasets.matte_scenes.render_matte_scene', interrupt)
    with pytest.raises(KeyboardInterrupt):
        MatteScenes(str(tmp_path / 'scenes'), settings=FEW)
    assert not os.listdir(tmp_path)


def test_wrong_settings(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='split'):
        MatteScenes(str(tmp_path), 'test')
    for settings in (dict(number=3), dict(size=16)):
        with pytest.raises(ValueError, match='settings'):
            MatteScenes(str(tmp_path), settings=settings)
    (tmp_path / 'other').touch()
    with pytest.raises(ValueError, match='does not hold'):
        MatteScenes(str(tmp_path), settings=FEW)
