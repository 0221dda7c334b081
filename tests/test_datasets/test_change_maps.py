"""Reading and checking change maps."""

import cv2
import numpy as np
import pytest

from mmvsa.datasets import DatasetError
from mmvsa.datasets.change_maps import check_names, check_sizes, read_change_map
from mmvsa.datasets.images import write_image


def test_255_is_changed(tmp_path):
    values = np.array([[0, 255, 0], [255, 255, 0]], np.uint8)
    write_image(tmp_path / 'map.png', values)
    np.testing.assert_array_equal(read_change_map(tmp_path / 'map.png'), values // 255)


def test_three_equal_channels_are_a_map_too(tmp_path):
    values = np.array([[0, 255]], np.uint8)
    write_image(tmp_path / 'map.png', np.repeat(values[..., None], 3, 2))
    np.testing.assert_array_equal(read_change_map(tmp_path / 'map.png'), [[0, 1]])


@pytest.mark.parametrize(
    ('value', 'named'),
    [(1, '1;'), (128, '128;'), (254, '254;'), (range(1, 9), r'1, 2, 3, 4, ...;')],
)
def test_other_values_are_named(tmp_path, value, named):
    image = np.resize(np.array(value, np.uint8), (4, 4))
    image[0, 0] = 255
    write_image(tmp_path / 'map.png', image)
    with pytest.raises(DatasetError, match=rf'map\.png has the values {named}'):
        read_change_map(tmp_path / 'map.png')


def test_jpeg_keeps_the_nearer_value(tmp_path):
    values = np.zeros((64, 64), np.uint8)
    values[10:40, 20:50] = 255
    cv2.imwrite(str(tmp_path / 'map.jpg'), values, [cv2.IMWRITE_JPEG_QUALITY, 75])
    assert len(np.unique(cv2.imread(str(tmp_path / 'map.jpg'), 0))) > 2
    np.testing.assert_array_equal(read_change_map(tmp_path / 'map.jpg'), values // 255)


@pytest.mark.parametrize('content', [b'', b'no image', None])
def test_unreadable_maps_are_named(tmp_path, content):
    if content is not None:
        (tmp_path / 'map.png').write_bytes(content)
    with pytest.raises(DatasetError, match=r'map\.png cannot be'):
        read_change_map(tmp_path / 'map.png')


def test_sizes_are_compared(tmp_path):
    write_image(tmp_path / 'a.png', np.zeros((4, 6), np.uint8))
    write_image(tmp_path / 'b.png', np.zeros((6, 4), np.uint8))
    assert check_sizes([tmp_path / 'a.png'] * 2) == (4, 6)
    with pytest.raises(DatasetError, match=r'a\.png is 6x4, .*b\.png is 4x6'):
        check_sizes([tmp_path / 'a.png', tmp_path / 'b.png'])


def test_names_are_compared():
    full = {'x': 'A/x.png', 'y': 'A/y.png'}
    check_names({'A': full, 'B': full})
    with pytest.raises(DatasetError, match=r"A/y\.png has no partner 'y' in B \(1 of 2"):
        check_names({'A': full, 'B': {'x': 'B/x.png'}})
    with pytest.raises(DatasetError, match=r"B/y\.png has no partner 'y' in A"):
        check_names({'A': {'x': 'A/x.png'}, 'B': {'x': 'B/x.png', 'y': 'B/y.png'}})
