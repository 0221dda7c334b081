"""From a config to a runner."""

from pathlib import Path

import pytest
from helpers.cli import ROOT
from mmengine.config import Config

from mmvsa.utils import UsageError, load_config, use_amp
from mmvsa.utils.distributed import has_gpu
from mmvsa.utils.runner import _add_hooks, _complete_dataloaders

COCO = ROOT / 'configs/mask_rcnn/mask-rcnn_vitaev2-s-vsa_fpn_ms-1x_coco.py'


def test_dataloaders_without_workers() -> None:
    """PyTorch refuses persistent workers and prefetching where there are none."""
    cfg = load_config(COCO, {'train_dataloader.num_workers': 0})
    cfg.train_dataloader.prefetch_factor = 2
    _complete_dataloaders(cfg)
    assert cfg.train_dataloader.persistent_workers is False
    assert 'prefetch_factor' not in cfg.train_dataloader
    assert cfg.val_dataloader.persistent_workers is True


def test_a_base_of_another_package_may_name_the_collate_function(tmp_path: Path) -> None:
    """MMEngine marks it with its scope, which the function does not take."""
    path = tmp_path / 'mine.py'
    path.write_text("_base_ = ['mmpretrain::_base_/datasets/imagenet_bs512_mae.py']")
    cfg = Config.fromfile(path)
    assert cfg.train_dataloader.collate_fn._scope_ == 'mmpretrain'
    _complete_dataloaders(cfg)
    assert cfg.train_dataloader.collate_fn == dict(type='default_collate')


def test_amp_refuses_other_wrappers() -> None:
    cfg = Config(dict(optim_wrapper=dict(type='ApexOptimWrapper')))
    with pytest.raises(UsageError, match='optim_wrapper.type=ApexOptimWrapper'):
        use_amp(cfg)


@pytest.mark.skipif(has_gpu(), reason='for machines without a GPU')
def test_amp_on_a_cpu() -> None:
    cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper', loss_scale='dynamic')))
    with pytest.raises(UsageError, match='--amp bfloat16'):
        use_amp(cfg, 'float16')
    use_amp(cfg)
    assert cfg.optim_wrapper == dict(type='mmvsa.CpuAmpOptimWrapper')


def test_hooks_of_checkpoints_are_added_to_any_config() -> None:
    cfg = Config(dict(default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=2))))
    _add_hooks(cfg)
    assert cfg.default_hooks.checkpoint == dict(type='mmvsa.CheckpointHook', interval=2)
    assert {'checkpoint_guard', 'random_state'} < cfg.default_hooks.keys()
    once = cfg.to_dict()
    _add_hooks(cfg)
    assert cfg.to_dict() == once

    others = Config(dict(default_hooks=dict(checkpoint=dict(type='MyHook'))))
    _add_hooks(others)
    assert others.default_hooks.checkpoint.type == 'MyHook'
    without = Config(dict(default_hooks=dict(checkpoint=None)))
    _add_hooks(without)
    assert without.default_hooks.checkpoint is None
    bare = Config()
    _add_hooks(bare)
    assert bare.default_hooks.checkpoint.type == 'mmvsa.CheckpointHook'
