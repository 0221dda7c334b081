"""DigitScenes: what is drawn and what is written."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.cli import run_tool
from helpers.scenes import SETTINGS, write_tiny_scenes
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO

from mmvsa.datasets import digit_scenes
from mmvsa.datasets.digit_scenes import (
    MIN_VISIBLE,
    PHOTOGRAPHS,
    SPLITS,
    SceneSettings,
    encode_rle,
    render_scene,
)


@pytest.fixture(scope='module')
def root(tmp_path_factory) -> Path:
    return write_tiny_scenes(tmp_path_factory.mktemp('scenes'))


def annotations(root: Path, split: str) -> COCO:
    return COCO(str(root / f'annotations/instances_{split}.json'))


def test_scene_depends_on_seed_split_and_index_alone() -> None:
    first = render_scene(SETTINGS, 'train', 3)
    again = render_scene(SceneSettings(num=99, size=SETTINGS.size), 'train', 3)
    assert (first.image == again.image).all()
    assert [i.source for i in first.instances] == [i.source for i in again.instances]
    for other in (
        render_scene(SETTINGS, 'train', 4),
        render_scene(SETTINGS, 'val', 3),
        render_scene(SceneSettings(size=SETTINGS.size, seed=1), 'train', 3),
    ):
        assert (first.image != other.image).any()


def test_no_digit_and_no_photograph_in_both_splits(root: Path) -> None:
    train, val = (
        {a['source'] for a in annotations(root, split).dataset['annotations']} for split in SPLITS
    )
    assert train and val and not train & val
    pools = [set(digit_scenes._sources(split)) for split in SPLITS]
    assert not pools[0] & pools[1] and len(pools[0] | pools[1]) == 1797
    assert not set(PHOTOGRAPHS['train']) & set(PHOTOGRAPHS['val'])


def test_sizes_are_log_uniform() -> None:
    scenes = [render_scene(SceneSettings(), 'train', index) for index in range(60)]
    sizes = np.array([i.digit_size for scene in scenes for i in scene.instances])
    assert sizes.min() >= 12 and sizes.max() <= 128
    # Three ranges of equal ratio have a third each.
    edges = np.geomspace(12, 128, 4)
    shares = np.histogram(sizes, edges)[0] / len(sizes)
    assert len(sizes) > 250 and abs(shares - 1 / 3).max() < 0.08


def test_digits_have_their_size_and_stay_visible() -> None:
    for index in range(10):
        scene = render_scene(SceneSettings(), 'val', index)
        taken = np.zeros(scene.image.shape[:2], bool)
        for instance in scene.instances:
            assert instance.mask.sum() >= MIN_VISIBLE * instance.full_area
            assert not (taken & instance.mask).any()
            taken |= instance.mask
            assert max(instance.box[2:]) <= instance.digit_size
        last = scene.instances[-1]  # nothing can overlap it
        assert abs(max(last.box[2:]) - last.digit_size) <= 2


def test_coco_file_is_valid(root: Path) -> None:
    coco = annotations(root, 'train')
    assert len(coco.imgs) == SETTINGS.num and len(coco.cats) == 10
    for image_id, image in coco.imgs.items():
        pixels = cv2.imread(str(root / 'images/train' / image['file_name']))
        assert pixels.shape == (image['height'], image['width'], 3)
        semantic = cv2.imread(
            str(root / 'semantic/train' / image['file_name']), cv2.IMREAD_UNCHANGED
        )
        expected = np.zeros_like(semantic)
        for annotation in coco.imgToAnns[image_id]:
            mask = coco.annToMask(annotation)
            assert mask.sum() == annotation['area'] > 0
            assert list(cv2.boundingRect(mask)) == annotation['bbox']
            expected[mask > 0] = annotation['category_id'] + 1
        assert (semantic == expected).all()


@pytest.mark.parametrize('fill', [0.0, 0.3, 1.0])
def test_rle_is_cocos(fill: float) -> None:
    mask = np.random.rand(7, 5) < fill
    rle = encode_rle(mask)
    compressed = mask_utils.frPyObjects(rle, *rle['size'])
    assert (mask_utils.decode(compressed) == mask).all()
    assert compressed == mask_utils.encode(np.asfortranarray(mask.astype(np.uint8)))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num=0), 'at least 1'),
        (dict(size=16), 'twice min_digit'),
        (dict(min_digit=40, max_digit=30), 'at most max_digit'),
        (dict(seed=-1), 'negative'),
    ],
)
def test_wrong_settings(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SceneSettings(**options)


def test_command(tmp_path: Path, capsys) -> None:
    out = tmp_path / 'data/scenes'
    run_tool(
        'dataset_converters/digit_scenes', '--num', 5, '--num-val', 1, '--size', 64, '--out', out
    )
    assert '5 + 1 scenes' in capsys.readouterr().out
    settings = json.loads((out / 'digit_scenes.json').read_text())
    assert (settings['num'], settings['num_val'], settings['size']) == (5, 1, 64)
    with pytest.raises(SystemExit, match='remove the folder'):
        run_tool('dataset_converters/digit_scenes', '--num', 6, '--size', 64, '--out', out)
