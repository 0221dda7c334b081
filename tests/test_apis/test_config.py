"""Reading configs and moving their data sets."""

from pathlib import Path

import pytest
from cli import ROOT
from mmengine.config.utils import MODULE2PACKAGE

from mmvsa.apis import UsageError, check_datasets, load_config, use_data_root, use_tta
from mmvsa.apis.config import OPTIONAL_HOSTS
from mmvsa.apis.runner import _complete_dataloaders

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


def test_an_explicit_option_wins(tmp_path: Path) -> None:
    options = {'data_root': str(tmp_path), 'val_dataloader.dataset.data_root': 'elsewhere'}
    cfg = load_config(IMAGENET, options)
    assert cfg.train_dataloader.dataset.data_root == str(tmp_path)
    assert cfg.val_dataloader.dataset.data_root == 'elsewhere'


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


def test_bases_of_other_packages(tmp_path: Path) -> None:
    child = tmp_path / 'child.py'
    child.write_text("_base_ = ['mmseg::_base_/default_runtime.py']")
    assert load_config(child).default_scope == 'mmseg'


@pytest.mark.parametrize('package', ['mmrotate', 'mmpose', 'mmsomething'])
def test_bases_of_a_missing_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    """An optional one is named with the way to install it; another is MMEngine's error."""
    monkeypatch.setitem(MODULE2PACKAGE, package, package)
    monkeypatch.setattr('mmengine.config.config.is_installed', lambda _: False)
    child = tmp_path / 'child.py'
    child.write_text(f"_base_ = ['{package}::_base_/default_runtime.py']")
    if package in OPTIONAL_HOSTS:
        with pytest.raises(UsageError, match=f'install.sh {OPTIONAL_HOSTS[package]}$'):
            load_config(child)
    else:
        with pytest.raises(ModuleNotFoundError, match='is not installed'):
            load_config(child)


def test_config_folder_and_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='is a folder'):
        load_config(tmp_path)
    with pytest.raises(UsageError, match='does not exist$'):
        load_config(tmp_path / 'zzz.py')


def test_dataloaders_without_workers() -> None:
    """PyTorch refuses persistent workers and prefetching where there are none."""
    cfg = load_config(COCO, {'train_dataloader.num_workers': 0})
    cfg.train_dataloader.prefetch_factor = 2
    _complete_dataloaders(cfg)
    assert cfg.train_dataloader.persistent_workers is False
    assert 'prefetch_factor' not in cfg.train_dataloader
    assert cfg.val_dataloader.persistent_workers is True


def test_tta_needs_a_recipe_outside_classification() -> None:
    cfg = load_config(COCO)
    cfg.pop('tta_model', None)
    with pytest.raises(UsageError, match='tta_pipeline'):
        use_tta(cfg)
