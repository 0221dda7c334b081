"""What the model of a recipe is made of, against the official code."""

from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from torch import nn

from mmvsa.models.backbones import Backbone, ViTAEv2
from mmvsa.models.layers import Attention, SampledWindowAttention, WindowAttention

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
