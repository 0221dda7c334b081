"""RSP's recipes on mmpretrain and mmseg: what the models are made of, and losses on small data."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers.cli import ROOT
from helpers.hosts import assert_backbone_trains
from helpers.recipes import drop_paths
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DATASETS, MODELS, init_default_scope
from mmseg.structures import SegDataSample
from torch import nn

from mmvsa.models.layers import WindowAttention
from mmvsa.utils import load_config, use_data_root

SCENES = ('ucm-82', 'aid-28', 'aid-55', 'nwpu-19', 'nwpu-28')
UPERNET = 'upernet/upernet_vitaev2-s_rsp-pre_1xb{}-80k_{}'
FPN = 'sem_fpn/fpn_vitaev2-s_rsp-pre_1xb4-80k_{}'
# Config -> classes, images per step, size of windows.
SEGMENTORS = {
    UPERNET.format(4, 'potsdam-512x512'): (5, 4, 7),
    UPERNET.format(4, 'vaihingen-512x512'): (5, 4, 7),
    UPERNET.format(2, 'isaid-896x896'): (16, 2, 7),
    FPN.format('potsdam-512x512'): (5, 4, 8),
    FPN.format('vaihingen-512x512'): (5, 4, 8),
    FPN.format('isaid-896x896'): (16, 4, 7),
}
SIDE = 64


def read(name: str) -> Config:
    cfg = load_config(ROOT / f'configs/{name}.py')
    init_default_scope(cfg.default_scope)
    return cfg


def build(cfg: Config) -> nn.Module:
    """The model, without memory for its parameters."""
    with torch.device('meta'):
        return MODELS.build(cfg.model)


@pytest.mark.parametrize('data', SCENES)
def test_scene_recipe(data: str) -> None:
    """That of RSP's `Scene Recognition`: five sets of lists, one GPU, no drop path."""
    cfg = read(f'rsp/vitaev2-s_rsp-pre_1xb64-200e_{data}')
    classes = {'ucm': 21, 'aid': 30, 'nwpu': 45}[data.split('-')[0]]
    model = build(cfg)
    assert model.head.fc.out_features == cfg.data_preprocessor.num_classes == classes
    assert not any(map(sum, drop_paths(model.backbone)))
    for loader, part in ((cfg.train_dataloader, 'train'), (cfg.val_dataloader, 'valid')):
        ratio = data.split('-')[1]
        assert loader.dataset.ann_file == f'{part}_labels_{ratio}_0.txt'
        assert (loader.dataset.type, loader.dataset.num_classes) == ('mmvsa.SceneList', classes)
        assert loader.batch_size == 64
    assert cfg.train_dataloader.drop_last
    check_scene_schedule(cfg, images=64, epochs=200)


def test_pretraining_recipe() -> None:
    cfg = read('rsp/vitaev2-s_4xb128-100e_millionaid')
    model = build(cfg)
    assert model.head.fc.out_features == cfg.data_preprocessor.num_classes == 51
    assert cfg.model.backbone.get('init_cfg') is None
    assert not any(map(sum, drop_paths(model.backbone)))
    assert cfg.train_dataloader.batch_size == 128
    assert cfg.train_dataloader.dataset.ann_file == 'train_labels.txt'
    check_scene_schedule(cfg, images=512, epochs=100)


def check_scene_schedule(cfg: Config, images: int, epochs: int) -> None:
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(5e-4 * images / 512)
    assert cfg.optim_wrapper.optimizer.weight_decay == 0.05
    assert cfg.optim_wrapper.clip_grad.max_norm == 5
    (cosine,) = cfg.param_scheduler
    assert cosine.eta_min == pytest.approx(5e-6 * images / 512)
    assert cosine.end == cfg.train_cfg.max_epochs == epochs
    assert cfg.auto_scale_lr.base_batch_size == images
    types = [step.type for step in cfg.train_dataloader.dataset.pipeline]
    assert 'RandAugment' in types and 'RandomErasing' in types


def test_a_new_head_starts_at_zero() -> None:
    cfg = read('rsp/vitaev2-s_rsp-pre_1xb64-200e_aid-28')
    head = MODELS.build(cfg.model.head)
    head.init_weights()
    assert head.fc.weight.shape == (30, 512)
    assert not any(parameter.any() for parameter in head.parameters())


@pytest.mark.parametrize('name', SEGMENTORS)
def test_segmentation_recipe(name: str) -> None:
    """That of RSP's `Semantic Segmentation`: windows padded at the end, a schedule of 80k."""
    classes, images, window = SEGMENTORS[name]
    cfg = read(name)
    model = build(cfg)
    windows = [m for m in model.backbone.modules() if isinstance(m, WindowAttention)]
    assert [(m.window_size, m.padding) for m in windows] == [(window, 'end')] * 6
    rate = 0.3 if 'upernet' in name else 0.0
    assert max(map(max, drop_paths(model.backbone))) == pytest.approx(rate * 9 / 13)
    assert model.decode_head.num_classes == classes
    assert cfg.train_dataloader.batch_size == images
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.weight_decay) == (6e-5, 0.01)
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end == 80000
    sliding = dict(mode='slide', stride=(384, 384), crop_size=(512, 512))
    assert cfg.model.test_cfg == (sliding if 'upernet' in name else dict(mode='whole'))
    whole = 'upernet' in name and 'isaid' not in name
    prefix = cfg.test_dataloader.dataset.data_prefix.img_path
    assert prefix == ('img_dir/val_all' if whole else 'img_dir/val')


def write_patches(root: Path, classes: int, mask_suffix: str) -> Path:
    """Two patches to train on, with every label and one that is none."""
    rng = np.random.default_rng(0)
    for kind in ('img_dir', 'ann_dir'):
        (root / kind / 'train').mkdir(parents=True)
    for index in range(2):
        image = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        labels = np.repeat(rng.integers(0, classes, (SIDE, SIDE // 8)), 8, axis=1)
        labels[:4] = 255 if mask_suffix else classes
        cv2.imwrite(str(root / f'img_dir/train/{index}.png'), image)
        cv2.imwrite(str(root / f'ann_dir/train/{index}{mask_suffix}.png'), labels.astype(np.uint8))
    return root


@pytest.mark.parametrize('name', SEGMENTORS)
def test_segmentation_loss(name: str, tmp_path: Path) -> None:
    """On patches read by the config's own dataset and pipeline, at another size."""
    classes, _, _ = SEGMENTORS[name]
    cfg = read(name)
    suffix = '_instance_color_RGB' if 'isaid' in name else ''
    use_data_root(cfg, str(write_patches(tmp_path / 'data', classes, suffix)))
    for step in cfg.train_dataloader.dataset.pipeline:
        if 'scale' in step:
            step.scale = (SIDE, SIDE)
        if 'crop_size' in step:
            step.crop_size = (SIDE, SIDE)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    cfg.model.data_preprocessor.size = (SIDE, SIDE)
    cfg.model.backbone.init_cfg = None
    for head in filter(None, (cfg.model.decode_head, cfg.model.get('auxiliary_head'))):
        head.channels = 16
    torch.manual_seed(0)
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).train()
    samples = [dataset[0], dataset[1]]
    labels = {int(v) for s in samples for v in s['data_samples'].gt_sem_seg.data.unique()}
    assert labels <= {*range(classes), 255} and len(labels) > 2
    data = model.data_preprocessor(pseudo_collate(samples), True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert loss.isfinite()
    assert_backbone_trains(model)


def test_isaid_is_tested_with_its_mirror_image() -> None:
    """At one scale, and padded to 896 pixels."""
    cfg = read(UPERNET.format(2, 'isaid-896x896'))
    (augment,) = [step for step in cfg.tta_pipeline if step.type == 'TestTimeAug']
    resizes, flips, *_ = augment.transforms
    assert [step.scale for step in resizes] == [(896, 896)]
    assert [step.prob for step in flips] == [0.0, 1.0]
    assert cfg.tta_model.type == 'SegTTAModel'
    preprocessor = MODELS.build(cfg.model.data_preprocessor)
    image = torch.zeros(3, 512, 896, dtype=torch.uint8)
    small = dict(inputs=[image], data_samples=[SegDataSample()])
    assert preprocessor(small, False)['inputs'].shape == (1, 3, 896, 896)
