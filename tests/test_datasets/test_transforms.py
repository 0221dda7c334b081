"""Loading of images from files and from memory."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mmvsa.datasets import DatasetError, LoadImage


def load(path: Path, **options: object) -> np.ndarray:
    return LoadImage(**options)(dict(img_path=str(path)))['img']


def test_load_image(tmp_path: Path) -> None:
    path = tmp_path / 'image.png'
    Image.new('RGB', (6, 4), (255, 0, 0)).save(path)
    loaded = LoadImage()(dict(img_path=str(path)))
    assert loaded['img'].shape == (4, 6, 3) and loaded['img'][0, 0].tolist() == [0, 0, 255]  # BGR
    assert loaded['img_shape'] == loaded['ori_shape'] == (4, 6)
    assert load(path, to_float32=True).dtype == np.float32
    given = np.zeros((2, 2, 3), np.uint8)
    assert LoadImage()(dict(img=given))['img'] is given


@pytest.mark.parametrize('suffix', ['webp', 'gif', 'tiff', 'avif', 'jfif', 'jp2', 'hdr'])
def test_formats_are_bytes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f'image.{suffix}'
    if suffix == 'hdr':
        cv2.imwrite(str(path), np.full((4, 6, 3), 0.5, np.float32))
    else:
        Image.new('RGB', (6, 4), (200, 200, 200)).save(path)
    image = load(path)
    assert image.shape == (4, 6, 3) and image.dtype == np.uint8


@pytest.mark.parametrize('content', [b'', b'text', None])
def test_bad_files_are_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / 'image.png'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError, match='image.png cannot be read as an image: .') as caught:
        load(path)
    assert '\n' not in str(caught.value)
    assert LoadImage(ignore_empty=True)(dict(img_path=str(path))) is None


def test_truncated_and_too_large_files_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / 'image.png'
    Image.fromarray(np.random.randint(0, 255, (32, 32, 3), np.uint8)).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:60])
    with pytest.raises(DatasetError, match='image.png'):
        load(path)

    def fail(*args: object, **kwargs: object) -> None:
        raise cv2.error('(-215:Assertion failed) pixels <= CV_IO_MAX_IMAGE_PIXELS')

    monkeypatch.setattr('mmcv.imfrombytes', fail)
    with pytest.raises(DatasetError, match='image.png .*CV_IO_MAX_IMAGE_PIXELS'):
        load(path)


def test_sixteen_bits(tmp_path: Path) -> None:
    """12 bits keep their range by option, and are warned of otherwise."""
    path = tmp_path / 'image.png'
    values = (np.arange(1024).reshape(32, 32) * 4).astype(np.uint16)
    cv2.imwrite(str(path), values)
    with pytest.warns(UserWarning, match='uses 12 of 16 bits, of which 16 levels.*bits=12'):
        coarse = load(path)
    assert np.array_equal(coarse[..., 0], values >> 8)
    fine = load(path, bits=12)
    assert fine.dtype == np.uint8 and np.array_equal(fine[..., 0], np.rint(values * (255 / 4095)))
    cv2.imwrite(str(path), values * 16)
    assert np.array_equal(load(path)[..., 0], values >> 4)
    with pytest.raises(ValueError, match='bits must be from 8 to 16, got 4'):
        LoadImage(bits=4)
