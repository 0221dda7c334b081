"""What the model of a recipe is made of, against the official code."""

from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from torch import nn

from mmvsa.models.backbones import Backbone, ViTAEv2
from mmvsa.models.layers import Attention, FullAttention, SampledWindowAttention, WindowAttention

# Recipes of the project's own.
OWN = ('quickstart', 'matting')
DENSE = ('mask_rcnn', 'cascade_rcnn', 'retinanet', 'upernet', 'sem_fpn', 'oriented_rcnn', 's2anet')


def check_recipe(path: Path, cfg: Config, model: nn.Module) -> None:
    """Check the built model of a config, which may be on the meta device."""
    backbone = model.backbone
    if isinstance(backbone, ViTAEv2) and path.parent.name not in OWN:
        options = cfg.model.backbone
        check_drop_path(backbone, options.get('drop_path_rate', 0.0))
        check_dropout(backbone, options.get('drop_rate', 0.0))
    for kind, expected in official_windows(path).items():
        assert windows(backbone, kind) == expected
    if '769x769' in path.name:
        check_sliding(model)
    if '_ade20k-' in path.name:
        check_padding(cfg)
    if is_mtp(path):
        check_mtp(path, cfg, backbone)


# Drop path.


def official_slices(depths: list[int], rate: float) -> list[list[float]]:
    """The rates of every stage, which starts at the depth of the one before, not at the sum."""
    line = torch.linspace(0, rate, sum(depths)).tolist()
    starts = [0, *depths[:-1]]
    return [line[start : start + depth] for start, depth in zip(starts, depths, strict=True)]


def drop_paths(backbone: Backbone) -> list[list[float]]:
    return [[block.drop_path.drop_prob for block in stage.blocks] for stage in backbone.stages]


def check_drop_path(backbone: Backbone, rate: float) -> None:
    depths = [len(stage.blocks) for stage in backbone.stages]
    # The line runs over the cells of a stage that is not built, too; the last one has two.
    official = official_slices([*depths, 2][:4], rate)
    for rates, expected in zip(drop_paths(backbone), official, strict=False):
        assert rates == pytest.approx(expected)
    assert {stage.reduction.drop_path.drop_prob for stage in backbone.stages} == {0.0}


# Windows.


def official_windows(path: Path) -> dict[type[nn.Module], set[tuple]]:
    """Return the padding of plain windows, and of sampled ones with the unit of their offsets.

    ViTAE-VSA's detection code pads on both sides, its classification code at the end; QFormer and
    RSP pad at the end. Windows of RVSA have tests of their own.
    """
    name, dense = path.name, path.parent.name in DENSE
    if path.parent.name in OWN:
        return {}
    if 'qformer' in name:
        return {SampledWindowAttention: {('end', 'padded')}}
    if 'swin' in name:
        return {SampledWindowAttention: {('center' if dense else 'end', 'padded')}}
    if 'vitaev2' in name and '-vsa' in name:
        return {SampledWindowAttention: {('center', 'swapped') if dense else ('end', 'axis')}}
    if 'vitaev2' in name and dense:
        return {WindowAttention: {('end' if 'rsp' in name else 'center',)}}
    return {}


def windows(backbone: Backbone, kind: type[nn.Module]) -> set[tuple]:
    found = [module for module in backbone.modules() if isinstance(module, kind)]
    if kind is WindowAttention:
        return {(window.padding,) for window in found}
    return {(window.padding, window.transform.offset_unit) for window in found}


# Dropout.


def dropouts(module: nn.Module) -> set[float]:
    """The rates of every dropout below a module, those of attention weights with them."""
    modules = list(module.modules())
    rates = {m.p for m in modules if isinstance(m, nn.Dropout)}
    return rates | {m.attn_drop for m in modules if isinstance(m, Attention)}


def check_dropout(backbone: Backbone, rate: float) -> None:
    """Normal cells alone drop, after projections and in MLPs."""
    for stage in backbone.stages:
        assert dropouts(stage.reduction) == {0.0}
        for block in stage.blocks:
            assert {block.attn.proj_drop.p, *dropouts(block.mlp)} == {rate}


# Segmentation.


def check_sliding(model: nn.Module) -> None:
    """Windows of 769 at a stride of 513 cover an image of Cityscapes: two times four."""
    seen = []

    def predict(inputs: torch.Tensor, metas: list[dict]) -> torch.Tensor:
        seen.append(tuple(inputs.shape[2:]))
        return inputs[:, :1]

    with patch.multiple(model, encode_decode=predict, out_channels=1):
        model.inference(torch.zeros(1, 3, 1024, 2048), [dict(ori_shape=(1024, 2048))])
    assert seen == [(769, 769)] * 8


def check_padding(cfg: Config) -> None:
    """Images of ADE20K are tested with zeros up to a multiple of 32."""
    from mmseg.structures import SegDataSample

    preprocessor = MODELS.build(cfg.model.data_preprocessor)
    sample = SegDataSample(metainfo=dict(img_shape=(512, 683)))
    image = torch.full((3, 512, 683), 255, dtype=torch.uint8)
    data = preprocessor(dict(inputs=[image], data_samples=[sample]), training=False)
    assert data['inputs'].shape == (1, 3, 512, 704)
    assert not data['inputs'][..., 683:].any() and data['inputs'][..., :683].all()
    assert data['data_samples'][0].img_padding_size == (0, 21, 0, 0)


# MTP.

# Data of a config -> side of its images.
MTP_SIZES = {
    'eurosat': 224,
    'nwpu-28': 224,
    'dior': 800,
    'xview': 416,
    'dota-ms': 1024,
    'dota-v2': 1024,
    'fair1m': 800,
    'loveda-512x512': 512,
    'spacenet-v1-384x384': 384,
    'levir-256x256': 256,
    'cdd-256x256': 256,
    'whu-256x256': 256,
    'oscd-224x224': 224,
}


def is_mtp(path: Path) -> bool:
    """Return whether a config is a recipe of MTP."""
    return '_mtp-pre_' in path.name or path.name.startswith('siam-unet_rvsa-')


def check_mtp(path: Path, cfg: Config, backbone: Backbone) -> None:
    """Widths, depths, full attention and its positions, drop path, norms and outputs."""
    size, depth, dims, every = ('l', 24, 1024, 6) if 'vit-l' in path.stem else ('b', 12, 768, 3)
    blocks = backbone.blocks
    assert len(blocks) == depth and backbone.out_channels == (dims,) * 4
    assert backbone.out_indices == ((7, 11, 15, 23) if size == 'l' else (3, 5, 7, 11))
    full = [i for i, block in enumerate(blocks) if isinstance(block.attn, FullAttention)]
    assert full == list(range(every - 1, depth, every))
    rates = [getattr(block.drop_path, 'drop_prob', 0.0) for block in blocks]
    assert rates == pytest.approx(torch.linspace(0, 0.3, depth).tolist())
    sampled = [block.attn for block in blocks if isinstance(block.attn, SampledWindowAttention)]
    assert {(w.window_size, w.num_heads, w.padding) for w in sampled} == {(7, dims // 64, 'center')}
    assert isinstance(backbone.norm, nn.Identity)
    side = MTP_SIZES[path.stem.rsplit('_', 1)[1]] // 16
    assert backbone.position_size == (side, side)
    folder, positions = path.parent.name, [blocks[i].attn.position for i in full]
    if folder in ('faster_rcnn', 'retinanet', 'oriented_rcnn'):
        assert positions == [None] * 4
    else:
        assert {len(position.rel_pos_h) for position in positions} == {2 * side - 1}
    kinds = {'mtp': 'avg_featmap', 'change_detection': 'featmap'}
    assert backbone.out_type == kinds.get(folder, 'pyramid')
    assert cfg.model.backbone.init_cfg.checkpoint == f'checkpoints/mtp-vit-{size}_samrs.pth'
