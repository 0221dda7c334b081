"""Finding, moving and checking the datasets of a config."""

from pathlib import Path

import pytest
from helpers.cli import ROOT

from mmvsa.utils import UsageError, check_datasets, load_config, use_data_root

COCO = ROOT / 'configs/mask_rcnn/mask-rcnn_vitaev2-s-vsa_fpn_ms-1x_coco.py'
IMAGENET = ROOT / 'configs/vitaev2_vsa/vitaev2-s-vsa_8xb128_in1k.py'
SCENES = ROOT / 'configs/quickstart/mask-rcnn_vitaev2-vsa-nano_digit-scenes.py'
QUICKSTART = ROOT / 'configs/quickstart/vitaev2-vsa-nano_digits.py'


def test_data_root_reaches_data_sets_and_evaluators(tmp_path: Path) -> None:
    cfg = load_config(COCO, {'data_root': str(tmp_path)})
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        assert loader.dataset.data_root.rstrip('/') == str(tmp_path)
    assert cfg.val_evaluator.ann_file == str(tmp_path / 'annotations/instances_val2017.json')
    assert cfg.data_root == str(tmp_path)


def test_wrapped_data_sets_move(tmp_path: Path) -> None:
    cfg = load_config(IMAGENET)
    inner = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=2, dataset=inner)
    use_data_root(cfg, str(tmp_path))
    assert cfg.train_dataloader.dataset.dataset.data_root == str(tmp_path)


def test_data_sets_without_a_folder_refuse(tmp_path: Path) -> None:
    cfg = load_config(QUICKSTART)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset = dict(type='SomethingInMemory')
    with pytest.raises(UsageError, match='SomethingInMemory'):
        use_data_root(cfg, str(tmp_path))


def test_missing_annotation_file_is_named(tmp_path: Path) -> None:
    (tmp_path / 'train2017').mkdir()
    cfg = load_config(COCO, {'data_root': str(tmp_path)})
    with pytest.raises(UsageError, match=r'train_dataloader.*ann_file.*instances_train2017.json'):
        check_datasets(cfg)
    # A loader that is not used is not asked for.
    cfg.train_dataloader = None
    check_datasets(cfg, ('train_dataloader',))


def test_generated_datasets(tmp_path: Path) -> None:
    """Not asked for before they are written; what a folder has is taken as it is."""
    check_datasets(load_config(SCENES))
    new = tmp_path / 'scenes'
    cfg = load_config(SCENES, {'data_root': str(new)})
    check_datasets(cfg)
    dataset = cfg.train_dataloader.dataset
    assert dataset.data_root.rstrip('/') == str(new) and dataset.settings.num == 2000
    new.mkdir()
    cfg = load_config(SCENES, {'data_root': str(new)})
    assert cfg.train_dataloader.dataset.settings is None
    (tmp_path / 'file').touch()
    with pytest.raises(UsageError, match='is not a folder'):
        load_config(SCENES, {'data_root': str(tmp_path / 'file')})


def test_data_sets_in_memory_stay_beside_folders(tmp_path: Path) -> None:
    cfg = load_config(QUICKSTART.with_name('vitaev2-vsa-nano_digit-scenes.py'))
    use_data_root(cfg, str(tmp_path))
    crops, plain = cfg.train_dataloader.dataset.datasets
    assert crops.data_root == str(tmp_path)
    assert plain.dataset.type == 'mmvsa.Digits'


def test_remote_paths_are_not_checked() -> None:
    cfg = load_config(IMAGENET)
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg[loader].dataset.data_root = 's3://bucket/imagenet'
    check_datasets(cfg)
