"""Pipelines of pairs move both images and the map together."""

import numpy as np
import pytest
from helpers.pairs import write_pairs
from mmengine.registry import init_default_scope

from mmvsa.datasets import DatasetError
from mmvsa.datasets.images import write_image
from mmvsa.registry import DATASETS, TRANSFORMS

LOAD = [dict(type='mmvsa.LoadImagePair'), dict(type='mmvsa.LoadChangeMap')]


@pytest.fixture(autouse=True)
def mmseg_scope(no_default_scope):
    init_default_scope('mmseg')


def results(height=8, width=12):
    """A pair whose second image is the first plus 100, and a map that follows the first."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, 100, (height, width, 3), dtype=np.uint8)
    changed = (first[..., 0] > 50).astype(np.uint8)
    pair = np.concatenate((first, first + 100), 2)
    return dict(img=pair, gt_seg_map=changed, seg_fields=['gt_seg_map'], img_shape=(height, width))


def assert_together(out):
    np.testing.assert_array_equal(out['img'][..., 3:], out['img'][..., :3] + 100)
    np.testing.assert_array_equal(out['gt_seg_map'], out['img'][..., 0] > 50)
    assert out['img_shape'] == out['img'].shape[:2] == out['gt_seg_map'].shape


@pytest.mark.parametrize(
    'transform',
    [
        dict(type='RandomFlip', prob=1.0, direction='horizontal'),
        dict(type='RandomFlip', prob=1.0, direction='vertical'),
        dict(type='RandomCrop', crop_size=(5, 7)),
        dict(type='mmvsa.RandomRotate90', prob=1.0),
    ],
    ids=lambda transform: transform['type'] + transform.get('direction', ''),
)
def test_moves_both_images_and_the_map(transform):
    before = results()
    out = TRANSFORMS.build(transform)(results())
    assert_together(out)
    assert out['img'].shape != before['img'].shape or (out['img'] != before['img']).any()


def test_rotation_by_any_angle_keeps_images_together():
    out = TRANSFORMS.build(dict(type='RandomRotFlip', rotate_prob=1.0, flip_prob=0.0))(results())
    inside = out['img'][..., :3].min(2) > 0
    difference = out['img'][..., 3:].astype(int) - out['img'][..., :3]
    assert np.abs(difference[2:-2, 3:-3][inside[2:-2, 3:-3]] - 100).max() <= 1


def test_orientations_are_equally_frequent():
    transform = TRANSFORMS.build(dict(type='mmvsa.RandomRotate90', prob=0.75))
    np.random.seed(0)
    image = results(4, 4)['img']
    turned = [np.rot90(image, k) for k in range(4)]
    counts = np.zeros(4)
    for _ in range(400):
        out = transform(results(4, 4))['img']
        counts[next(k for k in range(4) if (turned[k] == out).all())] += 1
    assert counts.sum() == 400 and counts.min() > 75


def test_swapping():
    swapped = TRANSFORMS.build(dict(type='mmvsa.RandomSwapImages', prob=1.0))(results())
    expected = results()
    np.testing.assert_array_equal(swapped['img'][..., :3], expected['img'][..., 3:])
    np.testing.assert_array_equal(swapped['img'][..., 3:], expected['img'][..., :3])
    np.testing.assert_array_equal(swapped['gt_seg_map'], expected['gt_seg_map'])
    same = TRANSFORMS.build(dict(type='mmvsa.RandomSwapImages', prob=0.0))(results())
    np.testing.assert_array_equal(same['img'], expected['img'])


@pytest.mark.parametrize('name', ['RandomRotate90', 'RandomSwapImages'])
def test_probabilities(name):
    with pytest.raises(ValueError, match='prob must be from 0 to 1, got 1.5'):
        TRANSFORMS.build(dict(type=f'mmvsa.{name}', prob=1.5))


def test_each_image_has_its_own_color():
    np.random.seed(0)
    distort = dict(type='PhotoMetricDistortion', brightness_delta=40)
    transform = TRANSFORMS.build(dict(type='mmvsa.EachImage', transforms=[distort]))
    out = transform(results())['img']
    assert out.shape == (8, 12, 6)
    assert (out[..., 3:].astype(int) - out[..., :3] != 100).any()


def test_each_image_is_not_for_geometry():
    crop = dict(type='RandomCrop', crop_size=(4, 4))
    transform = TRANSFORMS.build(dict(type='mmvsa.EachImage', transforms=[crop]))
    with pytest.raises(ValueError, match='mmvsa.EachImage is for transforms that keep the size'):
        transform(results())


def test_loaded_sample(tmp_path):
    write_pairs(tmp_path / 'test')
    dataset = DATASETS.build(
        dict(
            type='mmvsa.ChangeDetectionDataset',
            data_root=str(tmp_path),
            split='test',
            pipeline=[*LOAD, dict(type='mmvsa.PackPairInputs')],
        )
    )
    item = dataset[1]
    assert item['inputs'].shape == (6, 64, 64)
    sample = item['data_samples']
    assert sample.gt_sem_seg.data.unique().tolist() == [0, 1]
    changed = sample.gt_sem_seg.data[0].bool()
    before, after = item['inputs'].chunk(2)
    assert (before != after).any(0)[changed].float().mean() > 0.9
    assert (before == after).all(0)[~changed].all()
    assert sample.img_path2 == str(tmp_path / 'test/B/1.png')


def test_loading_names_a_pair_of_two_sizes(tmp_path):
    write_image(tmp_path / 'a.png', np.zeros((4, 6, 3), np.uint8))
    write_image(tmp_path / 'b.png', np.zeros((5, 6, 3), np.uint8))
    paths = dict(img_path=str(tmp_path / 'a.png'), img_path2=str(tmp_path / 'b.png'))
    with pytest.raises(DatasetError, match=r'a\.png .*\(4, 6\).*b\.png \(5, 6\)'):
        TRANSFORMS.build(LOAD[0])(paths)
