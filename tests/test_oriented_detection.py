"""Oriented R-CNN of mmrotate on RVSA: data, losses, recipe, tools."""

import multiprocessing.dummy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers.archs import has_separate_windows
from helpers.cli import ROOT, run_tool
from helpers.hosts import assert_backbone_trains, require_host, train_step, without_workers
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, MODELS, init_default_scope

from mmvsa.utils import load_config, use_data_root

require_host('mmrotate')

STEM = 'oriented-rcnn-le90_rvsa-{}_fpn_1x_{}.py'
CONFIGS = [
    STEM.format(arch, data)
    for arch in ('vit-b', 'vit-b-kvdiff', 'vitae-b', 'vitae-b-kvdiff')
    for data in ('dota', 'dota-ms')
]
SIZE = 128


def oriented_config(name: str) -> Config:
    return load_config(ROOT / 'configs/oriented_rcnn' / name)


def write_tiny_dota(root: Path, count: int = 4) -> Path:
    """Tiles with a ship turned by some angle and an upright storage tank, as DOTA's are stored."""
    rng = np.random.RandomState(0)
    images, labels = root / 'trainval/images', root / 'trainval/annfiles'
    images.mkdir(parents=True)
    labels.mkdir()
    for index in range(count):
        tile = rng.randint(0, 60, (SIZE, SIZE, 3), dtype=np.uint8)
        ship = cv2.boxPoints(((40.0 + index, 44.0), (48.0, 18.0), 30.0 * index))
        tank = cv2.boxPoints(((96.0, 90.0), (24.0, 24.0), 0.0))
        for corners, color in ((ship, (40, 80, 220)), (tank, (200, 200, 40))):
            cv2.fillPoly(tile, [corners.round().astype(np.int32)], color)
        cv2.imwrite(str(images / f'P{index:04d}.png'), tile)
        lines = [
            ' '.join([*(f'{value:.1f}' for value in corners.flatten()), name, '0'])
            for corners, name in ((ship, 'ship'), (tank, 'storage-tank'))
        ]
        (labels / f'P{index:04d}.txt').write_text('\n'.join(lines) + '\n')
    return root


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_dota(tmp_path_factory.mktemp('dota'))


def small_config(name: str, root: Path) -> Config:
    """A config on the tiny tiles: three narrow blocks, few proposals; the rest stays."""
    cfg = oriented_config(name)
    use_data_root(cfg, str(root))
    without_workers(cfg, batch_size=2)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        for step in loader.dataset.pipeline:
            if step.type == 'mmdet.Resize':
                step.scale = (SIZE, SIZE)
    groups = 8 if 'vitae' in name else 0
    arch = dict(embed_dims=32, depth=3, num_heads=2, pcm_groups=groups)
    cfg.model.backbone.update(arch=arch, img_size=SIZE, init_cfg=None)
    cfg.model.neck.in_channels = [32] * 4
    cfg.model.data_preprocessor.pad_size_divisor = 32
    cfg.model.train_cfg.rpn_proposal.max_per_img = 32
    cfg.model.test_cfg.rpn.max_per_img = 32
    cfg.model.train_cfg.rcnn.sampler.num = 16
    return cfg


def test_data_set_reads_the_corners(root: Path) -> None:
    """A turned ship and an upright tank, as boxes of center, sides and angle."""
    cfg = small_config(CONFIGS[0], root)
    init_default_scope(cfg.default_scope)
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    assert type(dataset).__name__ == 'DOTADataset' and len(dataset) == 4
    (sample,) = (
        dataset[i] for i in range(4) if dataset[i]['data_samples'].img_path.endswith('P0001.png')
    )
    boxes = sample['data_samples'].gt_instances
    assert sample['inputs'].shape == (3, SIZE, SIZE)
    assert [dataset.metainfo['classes'][i] for i in boxes.labels] == ['ship', 'storage-tank']
    ship = boxes.bboxes.tensor[0]
    assert ship[:4].tolist() == pytest.approx([41, 44, 48, 18], abs=0.5)
    assert float(ship[4]) == pytest.approx(np.pi / 6, abs=0.02)


@pytest.mark.parametrize('name', CONFIGS)
def test_loss(name: str, root: Path) -> None:
    cfg = small_config(name, root)
    init_default_scope(cfg.default_scope)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    model, losses = train_step(cfg, [dataset[0], dataset[1]])
    assert {'loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox'} <= losses.keys()
    assert all(np.isfinite(value) for value in losses.values())
    assert losses['loss_rpn_bbox'] > 0
    assert_backbone_trains(model)


def test_strides() -> None:
    """The pyramid has the strides that the heads are told."""
    cfg = oriented_config(CONFIGS[0])
    cfg.model.backbone.update(arch=dict(embed_dims=8, depth=1, num_heads=1), img_size=64)
    backbone = MODELS.build({**cfg.model.backbone, 'init_cfg': None})
    maps = backbone(torch.randn(1, 3, 64, 96))
    strides = cfg.model.rpn_head.anchor_generator.strides[:4]
    assert [tuple(m.shape[2:]) for m in maps] == [(64 // s, 96 // s) for s in strides]
    assert cfg.model.roi_head.bbox_roi_extractor.featmap_strides == strides


@pytest.mark.parametrize('name', CONFIGS)
def test_recipe(name: str) -> None:
    """What the official files say, written down again."""
    cfg = oriented_config(name)
    backbone = cfg.model.backbone
    assert backbone.arch == ('vitae-b' if 'vitae' in name else 'vit-b')
    assert has_separate_windows(backbone) == ('kvdiff' in name)
    assert (backbone.drop_path_rate, backbone.img_size, backbone.out_type) == (
        0.15,
        1024,
        'pyramid',
    )
    optimizer = dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05)
    assert cfg.optim_wrapper.optimizer == optimizer
    assert cfg.optim_wrapper.clip_grad.max_norm == 35
    warm_up, steps = cfg.param_scheduler
    assert (warm_up.start_factor, warm_up.end) == (0.001, 500)
    assert steps.milestones == [8, 11] and steps.end == cfg.train_cfg.max_epochs == 12
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 2
    rotations = [s for s in cfg.train_dataloader.dataset.pipeline if s.type == 'RandomRotate']
    roots = {cfg[f'{split}_dataloader'].dataset.data_root for split in ('train', 'val', 'test')}
    if 'dota-ms' in name:
        assert len(rotations) == 1 and roots == {'data/split_ms_dota/'}
        assert cfg.train_dataloader.dataset.pipeline[-1].type == 'mmdet.PackDetInputs'
    else:
        assert not rotations and roots == {'data/split_ss_dota/'}


def test_learning_rates_by_layer() -> None:
    """The first learning rate is the one in the official log: 1e-4 * 0.75 ** 13 = 2.376e-6."""
    cfg = oriented_config(CONFIGS[0])
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rates = {names[id(group['params'][0])]: group for group in groups}
    assert rates.keys() == set(names.values())
    expected = {
        'backbone.pos_embed': 13,
        'backbone.patch_embed.projection.weight': 13,
        'backbone.blocks.0.attn.qkv.weight': 12,
        'backbone.blocks.11.mlp.fc1.weight': 1,
        'backbone.pyramid.up2.weight': 0,
        'neck.lateral_convs.0.conv.weight': 0,
        'roi_head.bbox_head.fc_cls.weight': 0,
    }
    for name, power in expected.items():
        assert rates[name]['lr'] == pytest.approx(1e-4 * 0.75**power), name
    assert rates['backbone.pos_embed']['lr'] == pytest.approx(2.376e-6, rel=1e-3)
    for name, group in rates.items():
        free = group['params'][0].ndim == 1 or 'pos_embed' in name or 'rel_pos_' in name
        assert group['weight_decay'] == (0 if free else 0.05), name


def test_tools(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two iterations, validation, a checkpoint, testing with visualizations and predictions."""
    # mmrotate starts four fresh interpreters for a metric; threads serve for four tiles.
    monkeypatch.setattr(
        'mmrotate.evaluation.functional.mean_ap.get_context', lambda _: multiprocessing.dummy
    )
    cfg = small_config(CONFIGS[0], root)
    cfg.train_cfg.max_epochs = 1
    cfg.model.test_cfg.rcnn.score_thr = 0.0
    config, work_dir = tmp_path / 'small.py', tmp_path / 'work'
    cfg.dump(config)
    run_tool('train', config, '--work-dir', work_dir)
    log = next(work_dir.glob('*/*.log')).read_text()
    assert 'Epoch(val) [1]' in log and 'dota/mAP' in log
    shown, out = tmp_path / 'shown', tmp_path / 'out.pkl'
    checkpoint = work_dir / 'epoch_1.pth'
    run_tool('test', config, checkpoint, '--work-dir', work_dir, '--show-dir', shown, '--out', out)
    assert out.stat().st_size > 0
    assert len(list(tmp_path.glob('**/shown/**/*.png'))) == 4
