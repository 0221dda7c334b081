"""DigitScenes as datasets: what they generate, and who reads them."""

from pathlib import Path

import cv2
import pytest
from helpers.scenes import (
    CLASSIFICATION,
    DETECTION,
    SEGMENTATION,
    SETTINGS,
    tiny_config,
    write_tiny_scenes,
)
from mmengine.registry import init_default_scope
from pycocotools.coco import COCO

from mmvsa.datasets import (
    DatasetError,
    DigitScenesClassification,
    DigitScenesDetection,
    DigitScenesSegmentation,
)
from mmvsa.registry import DATASETS
from mmvsa.utils import load_config

ALL = (DigitScenesClassification, DigitScenesDetection, DigitScenesSegmentation)
FEW = dict(num=2, num_val=1, size=64)


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_scenes(tmp_path_factory.mktemp('scenes'))


@pytest.mark.parametrize('kind', ALL)
def test_generated_at_load(kind: type, tmp_path: Path) -> None:
    folder = tmp_path / 'data/scenes'
    dataset = kind(str(folder), 'val', settings=FEW)
    assert len(dataset) >= 1 and (folder / 'digit_scenes.json').is_file()
    assert len(kind(str(folder), 'val')) == len(dataset)  # any settings
    with pytest.raises(DatasetError, match='remove the folder'):
        kind(str(folder), 'train', settings=dict(FEW, num=3))


def test_wrong_split(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'train', 'val'"):
        DigitScenesDetection(str(tmp_path), 'test')


def test_detection_samples_are_those_of_mmdet(root: Path) -> None:
    from mmdet.datasets import CocoDataset

    dataset = DigitScenesDetection(str(root), 'train')
    expected = CocoDataset(
        data_root=str(root),
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img='images/train'),
        metainfo=dict(classes=tuple('0123456789')),
    )
    assert len(dataset) == len(expected) == SETTINGS.num
    assert dataset.metainfo['classes'] == expected.metainfo['classes']
    for index in range(len(dataset)):
        sample, reference = dataset.get_data_info(index), expected.get_data_info(index)
        assert {key: reference[key] for key in sample} == sample
        assert dataset.get_cat_ids(index) == expected.get_cat_ids(index)


def test_segmentation_samples_are_those_of_mmseg(root: Path) -> None:
    from mmseg.datasets import BaseSegDataset

    dataset = DigitScenesSegmentation(str(root), 'val')
    expected = BaseSegDataset(
        data_root=str(root),
        data_prefix=dict(img_path='images/val', seg_map_path='semantic/val'),
        img_suffix='.png',
    )
    assert len(dataset) == len(expected) == SETTINGS.num_val
    assert [dataset.get_data_info(i) for i in range(4)] == [
        expected.get_data_info(i) for i in range(4)
    ]


def test_classification_samples_are_those_of_mmpretrain(root: Path) -> None:
    from mmpretrain.datasets import CustomDataset

    dataset = DigitScenesClassification(str(root), 'train')
    expected = CustomDataset(str(root / 'classification/train'))
    assert dataset.metainfo['classes'] == expected.metainfo['classes']
    assert len(dataset) == len(expected)
    assert [dataset.get_data_info(i) for i in range(len(dataset))] == [
        expected.get_data_info(i) for i in range(len(expected))
    ]


def test_pipeline_of_mmdet(root: Path) -> None:
    dataset = DATASETS.build(tiny_config(DETECTION, root).train_dataloader.dataset)
    coco = COCO(str(root / 'annotations/instances_train.json'))
    instances = dataset[0]['data_samples'].gt_instances
    expected = [a['category_id'] for a in coco.imgToAnns[0]]
    assert instances.labels.tolist() == expected and len(instances.masks) == len(expected)


def test_pipeline_of_mmseg(root: Path) -> None:
    init_default_scope('mmseg')
    dataset = DATASETS.build(tiny_config(SEGMENTATION, root).val_dataloader.dataset)
    semantic = cv2.imread(str(root / 'semantic/val/000000.png'), cv2.IMREAD_UNCHANGED)
    assert (dataset[0]['data_samples'].gt_sem_seg.data[0].numpy() == semantic).all()


def test_pipeline_of_mmpretrain(root: Path) -> None:
    init_default_scope('mmpretrain')
    dataset = DATASETS.build(tiny_config(CLASSIFICATION, root).val_dataloader.dataset)
    sample = dataset[len(dataset) - 1]
    assert sample['inputs'].shape == (3, 64, 64)
    assert int(sample['data_samples'].gt_label) == dataset.get_data_info(-1)['gt_label']
    # Joined with the plain digits, whose information it must share.
    joined = DATASETS.build(tiny_config(CLASSIFICATION, root).train_dataloader.dataset)
    assert len(joined) == sum(map(len, joined.datasets)) and len(joined.datasets) == 2
    assert all(joined[i]['inputs'].shape == (3, 64, 64) for i in (0, len(joined) - 1))


@pytest.mark.parametrize('path', [CLASSIFICATION, DETECTION, SEGMENTATION])
def test_configs_ask_for_the_same_scenes(path: Path) -> None:
    cfg = load_config(path)
    assert cfg.val_dataloader.dataset.settings == dict(num=2000, num_val=200)
