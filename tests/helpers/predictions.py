"""A tiny model of every task that predicts images, its checkpoint, and images."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from helpers import archs
from helpers.cli import ROOT, tiny_config
from helpers.hosts import require_host
from helpers.scenes import DETECTION, SEGMENTATION
from mmvsa.utils import load_config


def classification(folder: Path) -> Config:
    """Return the digits' classifier, smaller."""
    return load_config(tiny_config(folder))


def detection(folder: Path) -> Config:
    """Return Mask R-CNN of DigitScenes, from scratch."""
    return _from_scratch(DETECTION)


def segmentation(folder: Path) -> Config:
    """Return FCN of DigitScenes, from scratch."""
    return _from_scratch(SEGMENTATION)


def pose(folder: Path) -> Config:
    """Return AP-10K's keypoints on a narrow backbone."""
    require_host('mmpose')
    path = 'configs/topdown_heatmap/td-hm_vitaev2-s_8xb64-210e_ap10k-256x256.py'
    cfg = _from_scratch(ROOT / path)
    cfg.model.backbone.arch = archs.VITAEV2
    cfg.model.head.in_channels = 32
    return cfg


def oriented_detection(folder: Path) -> Config:
    """Return DOTA's Oriented R-CNN on three narrow blocks, at 128 pixels."""
    require_host('mmrotate')
    cfg = _from_scratch(ROOT / 'configs/oriented_rcnn/oriented-rcnn-le90_rvsa-vit-b_fpn_1x_dota.py')
    cfg.model.backbone.update(arch=archs.RVSA, img_size=128, out_indices=(3,))
    cfg.model.neck.in_channels = [16] * 4
    cfg.model.data_preprocessor.pad_size_divisor = 32
    cfg.model.test_cfg.rpn.max_per_img = 32
    for step in cfg.test_dataloader.dataset.pipeline:
        if step.type == 'mmdet.Resize':
            step.scale = (128, 128)
    return cfg


TASKS: dict[str, Callable[[Path], Config]] = {
    task.__name__: task
    for task in (classification, detection, segmentation, pose, oriented_detection)
}


def _from_scratch(path: Path) -> Config:
    cfg = load_config(path)
    cfg.model.backbone.init_cfg = None
    if cfg.default_scope in ('mmdet', 'mmrotate'):
        # Random weights find nothing that they are sure of.
        cfg.model.test_cfg.rcnn.update(score_thr=0.0, max_per_img=5)
    return cfg


def write_model(task: str, folder: Path) -> tuple[Path, Path]:
    """Write the config of a task and a checkpoint of random weights; return their paths."""
    cfg = TASKS[task](folder)
    config, checkpoint = folder / f'{task}.py', folder / f'{task}.pth'
    cfg.dump(config)
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), checkpoint)
    return config, checkpoint


def write_images(folder: Path, count: int = 2, height: int = 60, width: int = 90) -> Path:
    """Write colored noise as PNG files ``0.png``, ``1.png``, ... below a new folder."""
    folder.mkdir()
    for index in range(count):
        noise = np.random.default_rng(index).integers(0, 255, (height, width, 3), np.uint8)
        cv2.imwrite(str(folder / f'{index}.png'), noise)
    return folder
