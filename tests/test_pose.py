"""Heatmap pose of mmpose on ViTAEv2: data, losses, recipe, tools."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers.cli import ROOT, run_tool
from helpers.hosts import assert_backbone_trains, require_host, train_step, without_workers
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, init_default_scope

from mmvsa.utils import load_config, use_data_root

require_host('mmpose')

STEM = 'td-hm_vitaev2-s_8xb64-210e_{}.py'
AP10K, COCO = STEM.format('ap10k-256x256'), STEM.format('coco-256x192')
CONFIGS = [AP10K, COCO]
LARGE = 'td-hm_vitaev2-s_8xb32-210e_coco-384x288.py'
SIZE = 96
ARCH = dict(
    embed_dims=(8, 8, 8, 16),
    token_dims=(16, 16, 32, 32),
    depths=(1, 1, 1, 1),
    num_heads=(2, 2, 4, 4),
    rc_heads=(2, 2, 2, 4),
    attention=('window', 'window', 'full', 'full'),
    nc_groups=(1, 4, 8, 8),
    rc_groups=(1, 4, 4, 8),
)


def pose_config(name: str) -> Config:
    return load_config(ROOT / 'configs/topdown_heatmap' / name)


def write_tiny_poses(root: Path, cfg: Config, count: int = 4) -> Path:
    """Images of 17 dots, one pose each, with the files that the datasets of ``cfg`` name."""
    rng = np.random.RandomState(0)
    images, annotations = [], []
    for index in range(count):
        picture = rng.randint(0, 60, (SIZE, SIZE, 3), dtype=np.uint8)
        points = rng.randint(20, SIZE - 20, (17, 2))
        for x, y in points.tolist():
            cv2.circle(picture, (x, y), 2, (80, 220, 240), -1)
        images.append(dict(id=index, file_name=f'{index}.jpg', width=SIZE, height=SIZE))
        annotations.append(
            dict(
                id=index,
                image_id=index,
                category_id=1,
                bbox=[10, 10, SIZE - 20, SIZE - 20],
                area=(SIZE - 20) ** 2,
                iscrowd=0,
                num_keypoints=17,
                keypoints=np.concatenate([points, np.full((17, 1), 2)], 1).flatten().tolist(),
            )
        )
        for loader in (cfg.train_dataloader, cfg.val_dataloader):
            folder = root / loader.dataset.data_prefix.img
            folder.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / f'{index}.jpg'), picture)
    content = dict(images=images, annotations=annotations, categories=[dict(id=1, name='thing')])
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        path = root / loader.dataset.ann_file
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    return root


def small_config(name: str, folder: Path) -> Config:
    """A config on its tiny poses, which are written to ``folder``, with a narrow backbone."""
    cfg = pose_config(name)
    use_data_root(cfg, str(write_tiny_poses(folder, cfg)))
    without_workers(cfg, batch_size=2)
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.pop('bbox_file', None)  # people that a detector has found
    cfg.model.backbone.update(arch=ARCH, init_cfg=None)
    cfg.model.head.in_channels = 32
    return cfg


@pytest.mark.parametrize('name', CONFIGS)
def test_data_set_gives_heatmaps(name: str, tmp_path: Path) -> None:
    """A heatmap for each point, of a quarter of the crop, highest where the point is."""
    cfg = small_config(name, tmp_path)
    init_default_scope(cfg.default_scope)
    cfg.train_dataloader.dataset.pipeline = [
        step for step in cfg.train_dataloader.dataset.pipeline if not step.type.startswith('Random')
    ]
    sample = DATASETS.build(cfg.train_dataloader.dataset)[0]
    width = 64 if name == AP10K else 48
    assert sample['inputs'].shape == (3, 256, 4 * width)
    heatmaps = sample['data_samples'].gt_fields.heatmaps
    assert heatmaps.shape == (17, 64, width)
    points = torch.as_tensor(sample['data_samples'].gt_instances.keypoints[0])
    # The box of 76 pixels around (48, 48), 1.25 times as large, fills the width of the heatmap.
    expected = (points - 48) * width / 95 + torch.tensor([width / 2, 32])
    highest = heatmaps.flatten(1).argmax(1)
    found = torch.stack([highest % width, highest // width], 1)
    assert (found - expected).abs().max() < 1


@pytest.mark.parametrize('name', [*CONFIGS, LARGE])
def test_loss(name: str, tmp_path: Path) -> None:
    cfg = small_config(name, tmp_path)
    init_default_scope(cfg.default_scope)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    model, losses = train_step(cfg, [dataset[0], dataset[1]])
    assert losses['loss_kpt'] > 0 and np.isfinite(losses['loss_kpt'])
    assert_backbone_trains(model)


@pytest.mark.parametrize('name', CONFIGS)
def test_recipe(name: str) -> None:
    """What the official files say, written down again."""
    cfg = pose_config(name)
    assert cfg.model.backbone.arch == 's'
    assert cfg.model.backbone.drop_path_rate == (0.6 if name == AP10K else 0.4)
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr) == ('Adam', 5e-4)
    warm_up, steps = cfg.param_scheduler
    assert (warm_up.start_factor, warm_up.end) == (0.001, 500)
    assert steps.milestones == [170, 200] and steps.end == cfg.train_cfg.max_epochs == 210
    assert cfg.train_dataloader.batch_size * 8 == cfg.auto_scale_lr.base_batch_size == 512
    size = (256, 256) if name == AP10K else (192, 256)
    decoder = cfg.model.head.decoder
    assert (decoder.input_size, decoder.sigma) == (size, 2)
    assert decoder.heatmap_size == tuple(length // 4 for length in size)
    assert cfg.model.test_cfg.flip_test and cfg.model.test_cfg.shift_heatmap


def test_larger_recipe() -> None:
    """Where the official config of 384x288 pixels differs."""
    cfg, small = pose_config(LARGE), pose_config(COCO)
    assert cfg.model.backbone == {**small.model.backbone, 'drop_path_rate': 0.6}
    assert cfg.optim_wrapper.optimizer == {**small.optim_wrapper.optimizer, 'lr': 1e-5}
    assert cfg.param_scheduler == small.param_scheduler
    assert cfg.train_dataloader.batch_size * 8 == cfg.auto_scale_lr.base_batch_size == 256
    decoder = cfg.model.head.decoder
    assert (decoder.input_size, decoder.heatmap_size) == ((288, 384), (72, 96))
    assert decoder.sigma == 3 and cfg.model.head.in_channels == 512


def test_head_is_the_simple_one() -> None:
    """Three transposed convolutions from stride 32 to stride 4."""
    cfg = pose_config(AP10K)
    init_default_scope(cfg.default_scope)
    head = MODELS.build(cfg.model.head)
    up = [m for m in head.modules() if isinstance(m, torch.nn.ConvTranspose2d)]
    assert len(up) == 3
    assert head((torch.randn(2, 512, 8, 8),)).shape == (2, 17, 64, 64)


@pytest.mark.parametrize('name', CONFIGS)
def test_tools(name: str, tmp_path: Path) -> None:
    """Two iterations, validation, a checkpoint, testing with visualizations and predictions."""
    cfg = small_config(name, tmp_path / 'data')
    cfg.train_cfg.update(max_epochs=1, val_interval=1)
    cfg.default_hooks.checkpoint.interval = 1
    config, work_dir = tmp_path / 'small.py', tmp_path / 'work'
    cfg.dump(config)
    run_tool('train', config, '--work-dir', work_dir)
    log = next(work_dir.glob('*/*.log')).read_text()
    assert 'Epoch(val) [1]' in log and 'coco/AP' in log
    shown, out = tmp_path / 'shown', tmp_path / 'out.pkl'
    checkpoint = work_dir / 'epoch_1.pth'
    run_tool('test', config, checkpoint, '--work-dir', work_dir, '--show-dir', shown, '--out', out)
    assert out.stat().st_size > 0
    assert len(list(shown.glob('*'))) == 4
