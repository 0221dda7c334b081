"""MTP's recipes: their schedules, and losses on small data.

What their backbones are made of is checked where all configs are built, in test_configs.py.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.archs import narrow_rvsa
from helpers.cli import ROOT
from helpers.hosts import assert_backbone_trains, require_host_of, train_step
from helpers.recipes import MTP_SIZES, is_mtp
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, MODELS, PARAM_SCHEDULERS, init_default_scope
from PIL import Image
from torch import nn

from mmvsa.datasets import DatasetError
from mmvsa.utils import load_config, use_data_root

CONFIGS = sorted(filter(is_mtp, (ROOT / 'configs').glob('*/*.py')))
SIDE = 64


def identifier(path: Path) -> str:
    return f'{path.parent.name}/{path.stem}'


def find(part: str) -> list[Path]:
    """The configs of both sizes whose name has ``part``."""
    found = [path for path in CONFIGS if part in path.stem]
    assert len(found) == 2
    return found


def build(cfg: Config) -> nn.Module:
    """The model, without memory for its parameters."""
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):
        return MODELS.build(cfg.model)


def test_both_sizes_of_every_recipe() -> None:
    assert len(CONFIGS) == 28
    datasets = [path.stem.rsplit('_', 1)[1] for path in CONFIGS]
    assert {data: datasets.count(data) for data in datasets} == {
        data: 4 if data == 'dior' else 2 for data in MTP_SIZES
    }


# Rate of a config -> one config of each kind.
RATES = {
    6e-5: ('100e_eurosat', '150e_levir', '80k_loveda'),
    1e-4: ('fpn_1x_xview', 'oriented-rcnn-le90_rvsa-vit-{}_mtp-pre_fpn_1x_dior'),
}


@pytest.mark.parametrize(
    ('rate', 'part'), [(rate, part) for rate, parts in RATES.items() for part in parts]
)
def test_learning_rates_by_layer(rate: float, part: str) -> None:
    """The first layer's share is that of the official logs: 0.9 ** 13 and 0.9 ** 25."""
    found = [path for size in 'bl' for path in CONFIGS if f'vit-{size}' in path.stem]
    paths = [p for p in found if part.format('b') in p.stem or part.format('l') in p.stem]
    assert len(paths) == 2
    for path, logged in zip(paths, (1.189823598e-06 / 4.680906383e-06, 0.07178979877), strict=True):
        require_host_of(path)
        cfg = load_config(path)
        model = build(cfg)
        groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        by_name = {names[id(group['params'][0])]: group for group in groups}
        assert by_name.keys() == set(names.values())
        assert by_name['backbone.pos_embed']['lr'] == pytest.approx(rate * logged)
        depth = len(model.backbone.blocks)
        for name, group in by_name.items():
            (parameter,) = group['params']
            block = name.startswith('backbone.blocks.') and int(name.split('.')[2])
            power = depth - block if name.startswith('backbone.blocks.') else 0
            if name.startswith(('backbone.patch_embed', 'backbone.pos_embed')):
                power = depth + 1
            assert group['lr'] == pytest.approx(rate * 0.9**power), name
            free = parameter.ndim == 1 or name.endswith('.bias') or 'pos_embed' in name
            assert group['weight_decay'] == (0 if free else 0.05), name
        assert cfg.optim_wrapper.optimizer.type == 'AdamW'
        assert cfg.optim_wrapper.get('clip_grad') is None


def run_schedule(cfg: Config, steps: int) -> list[float]:
    """The rate of the head before each step: of each epoch, or iteration, as the warm-up counts."""
    rate = cfg.optim_wrapper.optimizer.lr
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=rate)
    built = []
    for schedule in cfg.param_scheduler:
        if schedule.by_epoch == cfg.param_scheduler[0].by_epoch:
            options = {k: v for k, v in schedule.items() if k != 'convert_to_iter_based'}
            built.append(PARAM_SCHEDULERS.build({**options, 'optimizer': optimizer}))
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for schedule in built:
            schedule.step()
    return rates


@pytest.mark.parametrize(
    ('part', 'epochs', 'images', 'logged'),
    [
        ('100e_eurosat', 100, 64, 1.6402279772218375e-08),
        ('200e_nwpu-28', 200, 64, 3.893250858759693e-09),
        ('150e_levir', 150, 32, None),
        ('200e_cdd', 200, 32, 3.893250858759693e-09),
        ('200e_whu', 200, 32, 3.893250858759693e-09),
        ('100e_oscd', 100, 32, 1.6402279772218375e-08),
    ],
)
def test_schedule_of_epochs(part: str, epochs: int, images: int, logged: float | None) -> None:
    """The last rate is that of the official logs."""
    for path in find(part):
        cfg = load_config(path)
        warm_up, cosine = cfg.param_scheduler
        assert (warm_up.start_factor, warm_up.end, warm_up.convert_to_iter_based) == (1e-6, 5, True)
        assert cosine.end == cfg.train_cfg.max_epochs == epochs
        last = run_schedule(cfg, epochs)[-1]
        assert last == pytest.approx(logged or 3e-5 * (1 - np.cos(np.pi / 145)), rel=1e-6)
        assert cfg.train_dataloader.batch_size * 8 == cfg.auto_scale_lr.base_batch_size == images


@pytest.mark.parametrize('part', ['80k_loveda', '80k_spacenet'])
def test_schedule_of_iterations(part: str) -> None:
    """The rates of iterations 50 and 100 are those of the official logs, and so is the shape."""
    for path in find(part):
        cfg = load_config(path)
        rates = run_schedule(cfg, 100)
        assert rates[49] == pytest.approx(1.9613655770513682e-06)
        assert rates[99] == pytest.approx(3.962697798532355e-06)
        _, cosine = cfg.param_scheduler
        assert (cosine.type, cosine.begin) == ('CosineAnnealingLR', 1500)
        assert cosine.end == cfg.train_cfg.max_iters == 80000
        assert cfg.train_dataloader.batch_size == 1


@pytest.mark.parametrize(
    ('folder', 'data', 'images', 'classes'),
    [
        ('faster_rcnn', 'dior', 1, 20),
        ('retinanet', 'xview', 1, 60),
        ('oriented_rcnn', 'dior', 1, 20),
        ('oriented_rcnn', 'fair1m', 1, 37),
        ('oriented_rcnn', 'dota-ms', 2, 15),
        ('oriented_rcnn', 'dota-v2', 2, 18),
    ],
)
def test_detection_recipe(folder: str, data: str, images: int, classes: int) -> None:
    """What the official configs and logs say, written down again."""
    for path in (p for p in CONFIGS if p.parent.name == folder and p.stem.endswith(f'_{data}')):
        require_host_of(path)
        cfg = load_config(path)
        rates = run_schedule(cfg, 50)
        assert rates[49] == pytest.approx(9.819729458917844e-06)
        epochs, milestones = (40, [24, 32, 38]) if data == 'dota-v2' else (12, [8, 11])
        assert cfg.param_scheduler[1].milestones == milestones
        assert cfg.param_scheduler[1].end == cfg.train_cfg.max_epochs == epochs
        assert cfg.train_dataloader.batch_size == images
        assert cfg.model.data_preprocessor.pad_size_divisor == 32
        head = cfg.model.bbox_head if folder == 'retinanet' else cfg.model.roi_head.bbox_head
        assert head.num_classes == classes
        names = (cfg.train_dataloader.dataset.get('metainfo') or {}).get('classes')
        assert names is None or len(set(names)) == classes
        steps = {
            step.type.rpartition('.')[2]: step for step in cfg.train_dataloader.dataset.pipeline
        }
        side = MTP_SIZES[data]
        assert steps['Resize'].scale == (side, side)
        turns = {'dota-ms': [9, 11], 'fair1m': None}
        assert ('RandomRotate' in steps) == (data in turns)
        if data in turns:
            turn = steps['RandomRotate']
            assert (turn.prob, turn.angle_range) == (0.5, 180)
            assert turn.get('rect_obj_labels') == turns[data]


def test_segmentation_and_change_detection_recipe() -> None:
    for part, classes, stride in (('80k_loveda', 7, 384), ('80k_spacenet', 2, 256)):
        for path in find(part):
            model = load_config(path).model
            side = MTP_SIZES[path.stem.rsplit('_', 1)[1]]
            head = model.decode_head
            assert (head.num_classes, head.channels, head.dropout_ratio) == (classes, 512, 0.1)
            assert model.auxiliary_head is None
            sliding = dict(mode='slide', stride=(stride, stride), crop_size=(side, side))
            assert model.test_cfg == sliding
    for path in find('100e_oscd'):
        cfg = load_config(path)
        types = [step.type for step in cfg.train_dataloader.dataset.pipeline]
        assert types == [
            'mmvsa.LoadImagePair',
            'mmvsa.LoadChangeMap',
            'Resize',
            'RandomRotFlip',
            'RandomCrop',
            'mmvsa.RandomSwapImages',
            'mmvsa.EachImage',
            'mmvsa.PackPairInputs',
        ]
        assert cfg.val_dataloader.dataset.split == cfg.test_dataloader.dataset.split == 'test'


# Losses, through the datasets and pipelines of the configs.


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def make_small(cfg: Config) -> None:
    """A narrow backbone, small images, no synchronized norms."""
    widths = narrow_rvsa(cfg.model.backbone, SIDE)
    for name in ('neck', 'decode_head', 'head'):
        part = cfg.model.get(name) or {}
        if 'in_channels' in part:
            part.in_channels = widths if name == 'head' else [widths] * 4
    if 'decode_head' in cfg.model:
        cfg.model.decode_head.norm_cfg = dict(type='BN')
        cfg.model.decode_head.channels = 16
        if 'size' in cfg.model.data_preprocessor:
            cfg.model.data_preprocessor.size = (SIDE, SIDE)
    for step in cfg.train_dataloader.dataset.pipeline:
        for key in ('scale', 'crop_size'):
            if key in step:
                step[key] = SIDE if isinstance(step[key], int) else (SIDE, SIDE)


def loss_on(cfg: Config, root: Path, unused: str = '-') -> None:
    use_data_root(cfg, str(root))
    make_small(cfg)
    init_default_scope(cfg.default_scope)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    if 'data_preprocessor' not in cfg.model:
        cfg.model.data_preprocessor = cfg.data_preprocessor
    torch.manual_seed(0)
    model, losses = train_step(cfg, [dataset[0], dataset[1]])
    assert all(np.isfinite(value) for value in losses.values())
    for name, parameter in model.backbone.named_parameters():
        assert (parameter.grad is None) == name.startswith(unused), name
        parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    assert_backbone_trains(model)


@pytest.mark.parametrize('path', find('eurosat') + find('nwpu-28'), ids=identifier)
def test_loss_of_scenes(path: Path, tmp_path: Path) -> None:
    cfg = load_config(path)
    lists = {'train': '', 'valid': ''}
    for split, folder in (('train', 'train'), ('valid', 'val')):
        for number in range(cfg.model.head.num_classes):
            name = f'class{number:02d}/{split}.png'
            for place in (folder, 'all_img'):
                file = tmp_path / place / name
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(noise(SIDE, SIDE, 3, seed=number)).save(file)
            lists[split] += f'{name} class{number:02d} {number}\n'
        (tmp_path / f'{split}_labels_28_0.txt').write_text(lists[split])
    loss_on(cfg, tmp_path)
    held_out = DATASETS.build(cfg.val_dataloader.dataset)
    assert len(held_out) == cfg.model.head.num_classes
    assert held_out[3]['data_samples'].gt_label.tolist() == [3]
    assert cfg.model.get('train_cfg') is None, 'no mixup'
    assert cfg.model.head.loss.type == 'CrossEntropyLoss'


def write_coco(root: Path, cfg: Config, size: int) -> None:
    """Two images with a box of the first and one of the last class each, for both splits."""
    names = cfg.metainfo.classes
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        images, boxes = [], []
        folder = root / loader.dataset.data_prefix.img
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(2):
            Image.fromarray(noise(size, size, 3, seed=index)).save(folder / f'{index}.png')
            images.append(dict(id=index, file_name=f'{index}.png', width=size, height=size))
            for category, left in ((0, 8), (len(names) - 1, size // 2)):
                box = dict(bbox=[left, 8, 20, 24], area=480, iscrowd=0, image_id=index)
                boxes.append(dict(box, id=len(boxes), category_id=category))
        categories = [dict(id=i, name=name) for i, name in enumerate(names)]
        content = dict(images=images, annotations=boxes, categories=categories)
        (root / loader.dataset.ann_file).write_text(json.dumps(content))


@pytest.mark.parametrize('part', ['faster-rcnn', 'xview'])
def test_loss_of_detectors(part: str, tmp_path: Path) -> None:
    """Of RetinaNet, whose neck starts at stride 8, the level of stride 4 gets no gradient."""
    for path in find(part):
        cfg = load_config(path)
        write_coco(tmp_path, cfg, size=2 * SIDE)
        if 'roi_head' in cfg.model:
            cfg.model.train_cfg.rpn_proposal.max_per_img = 16
            cfg.model.train_cfg.rcnn.sampler.num = 16
        xview = part == 'xview'
        assert cfg.get('find_unused_parameters', False) == xview
        loss_on(cfg, tmp_path, unused='pyramid.up4.' if xview else '-')
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
        last = len(dataset.metainfo['classes']) - 1
        assert dataset[1]['data_samples'].gt_instances.labels.tolist() == [0, last]
        assert Path(cfg.test_evaluator.ann_file) == tmp_path / cfg.test_dataloader.dataset.ann_file


def write_segmentation(root: Path, cfg: Config, labels: np.ndarray) -> None:
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        for key, content in (('img_path', noise(*labels.shape, 3)), ('seg_map_path', labels)):
            folder = root / loader.dataset.data_prefix[key]
            folder.mkdir(parents=True, exist_ok=True)
            for name in ('a', 'b'):
                Image.fromarray(content).save(folder / f'{name}.png')


@pytest.mark.parametrize('path', find('80k_loveda') + find('80k_spacenet'), ids=identifier)
def test_loss_of_segmentors(path: Path, tmp_path: Path) -> None:
    cfg = load_config(path)
    values = [0, 255] if 'spacenet' in path.stem else range(8)
    labels = np.resize(np.repeat(np.array([*values], np.uint8), 12), (SIDE, 2 * SIDE))
    write_segmentation(tmp_path, cfg, labels)
    loss_on(cfg, tmp_path)


def test_masks_of_buildings(tmp_path: Path) -> None:
    """255 is class 1; a validation predicts at 384 pixels, a test at the size of the image."""
    cfg = load_config(find('80k_spacenet')[0])
    labels = np.zeros((40, 44), np.uint8)
    labels[:, 30:] = 255
    write_segmentation(tmp_path, cfg, labels)
    use_data_root(cfg, str(tmp_path))
    init_default_scope(cfg.default_scope)
    for loader, size in ((cfg.val_dataloader, (384, 384)), (cfg.test_dataloader, (40, 44))):
        sample = DATASETS.build(loader.dataset)[0]
        assert tuple(sample['inputs'].shape[1:]) == size
        mask = sample['data_samples'].gt_sem_seg.data[0].numpy()
        np.testing.assert_array_equal(mask, labels // 255)
    bad = tmp_path / 'val/labels/b.png'
    Image.fromarray(labels // 255).save(bad)
    with pytest.raises(DatasetError, match=f'{bad} has the values 1'):
        DATASETS.build(cfg.val_dataloader.dataset)[1]


@pytest.mark.parametrize('path', find('100e_oscd'), ids=identifier)
def test_loss_of_change_detectors(path: Path, tmp_path: Path) -> None:
    """Patches that are enlarged; a test keeps the map at its own size."""
    cfg = load_config(path)
    for split in ('train', 'test'):
        for folder in ('A', 'B', 'OUT'):
            (tmp_path / split / folder).mkdir(parents=True)
            content = noise(96, 96, 3, seed=len(folder))
            content = (content[..., 0] > 200) * np.uint8(255) if folder == 'OUT' else content
            for name in ('0', '1'):
                Image.fromarray(content).save(tmp_path / split / folder / f'{name}.png')
    test = load_config(path).test_dataloader.dataset
    test.data_root = str(tmp_path)
    init_default_scope(cfg.default_scope)
    sample = DATASETS.build(test)[0]
    assert sample['inputs'].shape == (6, 224, 224)
    assert sample['data_samples'].gt_sem_seg.data.shape == (1, 96, 96)
    cfg.model.decode_head.decoder_channels = (16,) * 4
    loss_on(cfg, tmp_path)
