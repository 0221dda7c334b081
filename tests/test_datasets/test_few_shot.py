"""A share of every class, chosen by a seed."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from helpers.cli import ROOT, run_tool, tiny_config
from mmengine.registry import init_default_scope
from PIL import Image

from mmvsa.datasets import DatasetError, few_shot
from mmvsa.models import read_checkpoint
from mmvsa.registry import DATASETS
from mmvsa.utils import UsageError, check_datasets, load_config


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three classes of 20, 30 and 50 files."""
    for name, count in (('a', 20), ('b', 30), ('c', 50)):
        (tmp_path / 'train' / name).mkdir(parents=True)
        for index in range(count):
            (tmp_path / 'train' / name / f'{index}.png').touch()
    return tmp_path


def folders(root: Path) -> dict[str, Any]:
    return dict(type='mmpretrain.CustomDataset', data_root=str(root), data_prefix='train')


def names(dataset: Any) -> list[str]:
    return [dataset.get_data_info(index)['img_path'] for index in range(len(dataset))]


@pytest.mark.parametrize(('fraction', 'counts'), [(0.1, [2, 3, 5]), (1, [20, 30, 50])])
def test_every_class_gives_its_share(root: Path, fraction: float, counts: list[int]) -> None:
    dataset = few_shot(folders(root), fraction=fraction)
    found = Counter(dataset.get_gt_labels().tolist())
    assert [found[label] for label in range(3)] == counts
    assert len(dataset) == sum(counts) and dataset.metainfo['classes'] == ('a', 'b', 'c')


def test_the_seed_chooses(root: Path) -> None:
    first, same, other = (
        names(few_shot(folders(root), fraction=0.1, seed=seed)) for seed in (0, 0, 1)
    )
    assert first == same != other
    # The choice does not depend on the machine or the version.
    places = [f'{Path(name).parent.name}/{Path(name).stem}' for name in first]
    assert places == 'a/10 a/6 b/10 b/14 b/18 c/13 c/3 c/31 c/41 c/48'.split()


def test_smaller_shares_are_of_the_same_order(root: Path) -> None:
    """5 % of the images are among the 10 % of the same seed."""
    small, large = (names(few_shot(folders(root), fraction=fraction)) for fraction in (0.05, 0.1))
    assert set(small) < set(large)


@pytest.mark.parametrize('fraction', [0, -0.1, 1.5, True, '10%', float('nan'), None])
def test_wrong_fractions_are_named(root: Path, fraction: Any) -> None:
    with pytest.raises(DatasetError, match=f'fraction must be .* got {fraction!r}'):
        few_shot(folders(root), fraction=fraction)


def test_a_class_without_an_image_is_named(root: Path) -> None:
    with pytest.raises(DatasetError, match=r"no image of 1 classes, such as 'a', which has 20"):
        few_shot(folders(root), fraction=0.02)


@pytest.mark.parametrize(('percent', 'images'), [(1, 2), (10, 20)])
def test_configs(tmp_path: Path, percent: int, images: int) -> None:
    """Of two classes with 100 images, through the pipeline; validation sees all of its own."""
    for split, count in (('train', 100), ('val', 1)):
        for name in 'ab':
            (tmp_path / split / name).mkdir(parents=True)
            for index in range(count):
                Image.new('RGB', (8, 8)).save(tmp_path / split / name / f'{index}.png')
    path = ROOT / f'configs/vitaev2/vitaev2-s_8xb128_in1k-{percent}percent.py'
    cfg = load_config(path, dict(data_root=str(tmp_path)))
    init_default_scope(cfg.default_scope)
    check_datasets(cfg)
    metainfo = dict(metainfo=dict(classes=('a', 'b')))
    cfg.train_dataloader.dataset.dataset.update(metainfo)
    cfg.val_dataloader.dataset.update(metainfo)
    train, val = (DATASETS.build(cfg[f'{x}_dataloader'].dataset) for x in ('train', 'val'))
    assert (len(train), len(val)) == (images, 2)
    assert train[0]['inputs'].shape == (3, 224, 224)
    whole = load_config(ROOT / 'configs/vitaev2/vitaev2-s_8xb128_in1k.py')
    assert cfg.model == whole.model and cfg.train_cfg == whole.train_cfg
    assert load_config(path).train_dataloader.dataset.dataset == whole.train_dataloader.dataset


FEW = """
_base_ = [{base!r}]
train_dataloader = dict(batch_size=8, dataset=dict(
    _delete_=True,
    type='mmvsa.FewShot',
    fraction=0.25,
    dataset={{{{_base_.train_dataloader.dataset}}}},
))
"""


def test_trains_on_few_images(tmp_path: Path) -> None:
    """By the tool: a quarter of 64 digits are two iterations of eight."""
    path = tmp_path / 'few.py'
    path.write_text(FEW.format(base=str(tiny_config(tmp_path))))
    run_tool('train', path, '--work-dir', tmp_path / 'w')
    assert read_checkpoint(tmp_path / 'w/epoch_1.pth')['meta']['iter'] == 2


def test_misspelt_options_are_named() -> None:
    path = ROOT / 'configs/vitaev2/vitaev2-s_8xb128_in1k-1percent.py'
    with pytest.raises(UsageError, match='takes no fractoin; did you mean fraction'):
        load_config(path, ['train_dataloader.dataset.fractoin=0.1'])
