"""What the recipes build: the parts of their models and pipelines, against the official code."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import pytest
import torch
from helpers.cli import ROOT
from helpers.hosts import require_host_of
from helpers.recipes import drop_paths, official_windows
from mmengine.dataset import Compose
from mmengine.registry import MODELS, PARAM_SCHEDULERS, init_default_scope
from PIL import Image
from torch import nn

from mmvsa.datasets import DatasetError
from mmvsa.registry import DATASETS
from mmvsa.utils import load_config

CONFIGS = [path for path in sorted((ROOT / 'configs').glob('*/*.py')) if '_base_' not in path.parts]

# The models of all configs are checked where they are built, in test_configs.py.


@pytest.mark.parametrize(
    ('name', 'last_stage', 'largest'),
    [
        ('topdown_heatmap/td-hm_vitaev2-s_8xb64-210e_ap10k-256x256', (0.369, 0.415), 0.415),
        ('vitaev2/vitaev2-48m_8xb128_in1k', (0.172, 0.188), 0.188),
        ('vitaev2/vitaev2-b_8xb128_in1k', (0.282, 0.306), 0.306),
    ],
)
def test_drop_path_by_hand(name: str, last_stage: tuple[float, float], largest: float) -> None:
    path = ROOT / f'configs/{name}.py'
    require_host_of(path)
    with torch.device('meta'):
        rates = drop_paths(MODELS.build(load_config(path).model.backbone))
    assert rates[-1] == pytest.approx(last_stage, abs=6e-4)
    assert max(map(max, rates)) == pytest.approx(largest, abs=6e-4)


def test_the_constructor_stays_cumulative() -> None:
    with torch.device('meta'):
        backbone = MODELS.build(dict(type='mmvsa.ViTAEv2', arch='s', drop_path_rate=0.6))
    rates = np.concatenate(drop_paths(backbone)).tolist()
    assert rates == pytest.approx(np.linspace(0, 0.6, 14).tolist())


def test_every_kind_of_window_is_checked() -> None:
    counts = Counter(
        windows for path in CONFIGS for kind in official_windows(path).values() for windows in kind
    )
    dense_vsa, dense_swin, classifiers = (
        ('center', 'swapped'),
        ('center', 'padded'),
        ('end', 'axis'),
    )
    assert (counts[dense_vsa], counts[dense_swin], counts['end', 'padded']) == (13, 9, 18)
    assert counts[classifiers] == 13 and counts['center',] >= 15


# Interpolation.

# What resizes and turns in mmpretrain's transforms.
OPERATIONS = ('imresize', 'imshear', 'imtranslate', 'imrotate')


@pytest.fixture
def interpolations(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Operation -> the interpolation of each of its calls."""
    seen: dict[str, list[str]] = {name: [] for name in OPERATIONS}

    def recording(name: str) -> Callable:
        original = getattr(mmcv, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            seen[name].append(kwargs['interpolation'])
            return original(*args, **kwargs)

        return call

    for name in OPERATIONS:
        monkeypatch.setattr(mmcv, name, recording(name))
    return seen


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('vitaev2/vitaev2-s_8xb128_in1k', {'bilinear', 'bicubic'}),
        ('vitaev2_vsa/vitaev2-b-vsa-ws12_8xb128_in1k-384px', {'bilinear', 'bicubic'}),
        ('vitae/vitae-tiny_4xb128_in1k', {'bilinear', 'bicubic'}),
        ('swin_vsa/swin-t-vsa_8xb128_in1k', {'bicubic'}),
        ('rvsa/rvsa-vit-b_1xb64-200e_nwpu-28', {'bicubic'}),
    ],
)
def test_training_interpolation(
    name: str, expected: set[str], interpolations: dict[str, list[str]]
) -> None:
    """Chosen anew for each crop and operation, as timm's default does, or bicubic."""
    cfg = load_config(ROOT / f'configs/{name}.py')
    init_default_scope('mmpretrain')
    steps = Compose(cfg.train_dataloader.dataset.pipeline[1:-1])
    np.random.seed(0)
    image = np.random.randint(0, 256, (24, 32, 3), np.uint8)
    for _ in range(160):
        steps(dict(img=image.copy(), img_shape=image.shape[:2]))
    for operation, seen in interpolations.items():
        shares = {choice: seen.count(choice) / len(seen) for choice in set(seen)}
        assert shares.keys() == expected, operation
        assert min(shares.values()) > 0.7 / len(expected) ** 2, operation


@pytest.mark.parametrize('size', ['224', '384'])
def test_two_operations_per_image(size: str) -> None:
    """Drawn alone, so that each has its own interpolation: together they are m9-n2."""
    cfg = load_config(ROOT / f'configs/_base_/datasets/imagenet_bs128_vitae_{size}.py')
    init_default_scope('mmpretrain')
    choices = [
        step for step in Compose(cfg.train_pipeline).transforms if hasattr(step, 'transforms')
    ]
    crops, *operations = [[pipeline.transforms for pipeline in c.transforms] for c in choices]
    assert {crop.scale for (crop,) in crops} == {(int(size),) * 2}
    for kinds in operations:
        policies = [[type(t).__name__ for t in augment.transforms] for (augment,) in kinds]
        assert policies[0] == policies[1] and len(policies[0]) == 15
        for (augment,) in kinds:
            assert (augment.magnitude_level, augment.magnitude_std) == (9, 0.5)
    assert sum(kinds[0][0].num_policies for kinds in operations) == 2


# Scene lists.


@pytest.mark.parametrize(('name', 'classes'), [('ucm-55', 21), ('aid-55', 30), ('nwpu-28', 45)])
def test_recipes_read_the_official_lists(name: str, classes: int, tmp_path: Path) -> None:
    cfg = load_config(ROOT / f'configs/rvsa/rvsa-vit-b_1xb64-200e_{name}.py')
    (tmp_path / 'all_img').mkdir()
    init_default_scope('mmpretrain')
    for split, loader in (('train', cfg.train_dataloader), ('valid', cfg.test_dataloader)):
        for number in range(classes):
            Image.new('RGB', (300, 280)).save(tmp_path / f'all_img/{split}_{number}.jpg')
        file = tmp_path / f'{split}_labels_{name[-2:]}_0.txt'
        lines = [f'{split}_{number}.jpg class{number} {number}\n' for number in range(classes)]
        file.write_text(''.join(lines))
        options = {**loader.dataset, 'data_root': str(tmp_path)}
        dataset = DATASETS.build(options)
        assert [dataset.get_data_info(i)['gt_label'] for i in range(classes)] == [*range(classes)]
        assert dataset[classes - 1]['inputs'].shape == (3, 224, 224)
        file.write_text(lines[0].replace('class0 0', f'class0 {classes}'))
        with pytest.raises(DatasetError, match=f'{file.name}, line 1: there is no class {classes}'):
            DATASETS.build(options)


# Segmentation.


@pytest.mark.parametrize(
    ('name', 'iterations'),
    [
        ('upernet_vitaev2-s_8xb2-160k_ade20k-512x512', 160000),
        ('upernet_swin-t-vsa_4xb2-80k_cityscapes-512x1024', 80000),
        ('upernet_vitaev2-s-vsa_4xb2-40k_cityscapes-769x769', 40000),
        ('upernet_rvsa-vit-b_4xb2-160k_loveda-512x512', 160000),
    ],
)
def test_poly_decay_counts_from_the_first_iteration(name: str, iterations: int) -> None:
    """The official mmseg 0.x multiplies it by the warm-up, which ends below 6e-5."""
    cfg = load_config(ROOT / f'configs/upernet/{name}.py')
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=6e-5)
    schedules = [
        PARAM_SCHEDULERS.build({**scheduler, 'optimizer': optimizer})
        for scheduler in cfg.param_scheduler
    ]
    rates = []
    for _ in range(3001):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for schedule in schedules:
            schedule.step()

    def official(iteration: int) -> float:
        warm_up = 1 - (1 - min(iteration / 1500, 1)) * (1 - 1e-6)
        return 6e-5 * warm_up * (1 - iteration / iterations)

    for iteration in (0, 1, 750, 1499, 1500, 3000):
        assert rates[iteration] == pytest.approx(official(iteration), rel=2e-3, abs=1e-10)


def test_loveda_is_tested_with_its_mirror_image(tmp_path: Path) -> None:
    """As in the official code: the image at its own size, and mirrored."""
    cfg = load_config(ROOT / 'configs/upernet/upernet_rvsa-vit-b_4xb2-160k_loveda-512x512.py')
    image = np.zeros((1024, 1024, 3), np.uint8)
    image[:, :512] = 255
    for name, content in (('image', image), ('labels', image[..., 0] // 255)):
        Image.fromarray(content).save(tmp_path / f'{name}.png')
    init_default_scope('mmseg')
    sample = dict(
        img_path=str(tmp_path / 'image.png'),
        seg_map_path=str(tmp_path / 'labels.png'),
        reduce_zero_label=True,
        seg_fields=[],
    )
    views = Compose(cfg.tta_pipeline)(sample)['inputs']
    assert [tuple(view.shape) for view in views] == [(3, 1024, 1024)] * 2
    assert [bool(view[:, :, :512].all()) for view in views] == [True, False]
