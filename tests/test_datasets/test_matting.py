"""Matting datasets and their files."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmvsa.datasets import P3M10K, MattingDataset
from mmvsa.datasets.matting_transforms import generate_trimap, make_ternary

PIPELINE = [dict(type='mmvsa.LoadMatte'), dict(type='mmvsa.GenerateTrimap', kernel_size=5)]
PIPELINE += [dict(type='mmvsa.PackMatte')]


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def disk(height: int = 40, width: int = 50) -> np.ndarray:
    alpha = np.zeros((height, width), np.uint8)
    cv2.circle(alpha, (width // 2, height // 2), min(height, width) // 3, 255, -1)
    return cv2.blur(alpha, (3, 3))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for stem in 'ab':
        write(tmp_path / f'image/{stem}.jpg', np.random.randint(0, 255, (40, 50, 3), np.uint8))
        write(tmp_path / f'alpha/{stem}.png', disk())
    return tmp_path


def test_sample(folder: Path) -> None:
    dataset = MattingDataset(str(folder), pipeline=PIPELINE)
    assert len(dataset) == 2
    data = dataset[0]
    sample = data['data_samples']
    assert data['inputs'].shape == (3, 40, 50) and data['inputs'].dtype == torch.uint8
    assert torch.equal(sample.gt_alpha[0], torch.from_numpy(disk()))
    assert torch.equal(sample.gt_trimap[0], torch.from_numpy(generate_trimap(disk(), 5)))
    assert sample.ori_shape == (40, 50)


def load(folder: Path) -> dict:
    return MattingDataset(str(folder), pipeline=PIPELINE)[0]


@pytest.mark.parametrize('kind', ['rgb', 'rgba', '16 bit'])
def test_mattes_of_any_kind(folder: Path, kind: str) -> None:
    alpha = disk()
    other = np.zeros_like(alpha)
    files = {
        'rgb': np.dstack((other, other, alpha)),  # OpenCV's order: red is the last
        'rgba': np.dstack((other, other, alpha, other + 255)),
        '16 bit': alpha.astype(np.uint16) * 257,
    }
    write(folder / 'alpha/a.png', files[kind])
    assert torch.equal(load(folder)['data_samples'].gt_alpha[0], torch.from_numpy(alpha))


@pytest.mark.parametrize('channels', [1, 4])
def test_gray_and_rgba_images(folder: Path, channels: int) -> None:
    (folder / 'image/a.jpg').unlink()
    image = np.random.randint(0, 255, (40, 50, channels), np.uint8)
    write(folder / 'image/a.png', image)
    expected = torch.from_numpy(image[..., :3] if channels == 4 else image.repeat(3, 2))
    assert torch.equal(load(folder)['inputs'], expected.permute(2, 0, 1))


def test_errors_name_the_file(folder: Path) -> None:
    write(folder / 'alpha/a.png', disk(40, 49))
    with pytest.raises(ValueError, match=r'alpha/a\.png is 49 x 40.*image/a\.jpg is 50 x 40'):
        load(folder)
    (folder / 'alpha/a.png').write_bytes(b'no image')
    with pytest.raises(ValueError, match=r'alpha/a\.png cannot be decoded'):
        load(folder)
    (folder / 'alpha/a.png').write_bytes(b'')
    with pytest.raises(ValueError, match=r'alpha/a\.png cannot be decoded'):
        load(folder)
    (folder / 'alpha/a.png').unlink()
    with pytest.raises(ValueError, match=r'alpha of 1 of 2 images: .*image/a\.jpg'):
        load(folder)


def test_errors_of_folders(folder: Path) -> None:
    (folder / 'empty').mkdir()
    with pytest.raises(ValueError, match='has no images'):
        MattingDataset(str(folder), dict(img='empty', alpha='alpha'))
    with pytest.raises(ValueError, match='is no folder'):
        MattingDataset(str(folder), dict(img='images', alpha='alpha'))
    with pytest.raises(ValueError, match='data_prefix'):
        MattingDataset(str(folder), dict(img='image', mask='alpha'))
    write(folder / 'image/a.png', disk())
    with pytest.raises(ValueError, match='two files of the stem a'):
        MattingDataset(str(folder))


def test_p3m10k(tmp_path: Path) -> None:
    kinds = ('blurred_image/1.jpg', 'mask/1.png', 'fg_blurred/1.png', 'bg/1.jpg')
    for kind in kinds:
        write(tmp_path / 'train' / kind, disk())
    for kind in ('original_image/1.jpg', 'mask/1.png', 'trimap/1.png'):
        write(tmp_path / 'validation/P3M-500-NP' / kind, disk())
    sample = P3M10K(str(tmp_path), foregrounds=True, pipeline=PIPELINE)[0]['data_samples']
    assert sample.gt_foreground.shape == sample.gt_background.shape == (3, 40, 50)
    assert 'gt_foreground' not in P3M10K(str(tmp_path), pipeline=PIPELINE)[0]['data_samples']
    sample = P3M10K(str(tmp_path), 'P3M-500-NP', pipeline=PIPELINE)[0]['data_samples']
    # The file, not a trimap of the alpha; its blurred edge becomes transition.
    assert torch.equal(sample.gt_trimap[0], torch.from_numpy(make_ternary(disk())))
    with pytest.raises(ValueError, match='split'):
        P3M10K(str(tmp_path), 'test')
    with pytest.raises(ValueError, match='foregrounds'):
        P3M10K(str(tmp_path), 'P3M-500-NP', foregrounds=True)
