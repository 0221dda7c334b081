"""From a config to a runner."""

from pathlib import Path

import pytest
from helpers.cli import ROOT
from mmengine.config import Config

from mmvsa.utils import UsageError, load_config, use_amp, use_resume
from mmvsa.utils.distributed import has_gpu
from mmvsa.utils.runner import _complete_dataloaders, check_checkpoint

COCO = ROOT / 'configs/mask_rcnn/mask-rcnn_vitaev2-s-vsa_fpn_ms-1x_coco.py'


def test_dataloaders_without_workers() -> None:
    """PyTorch refuses persistent workers and prefetching where there are none."""
    cfg = load_config(COCO, {'train_dataloader.num_workers': 0})
    cfg.train_dataloader.prefetch_factor = 2
    _complete_dataloaders(cfg)
    assert cfg.train_dataloader.persistent_workers is False
    assert 'prefetch_factor' not in cfg.train_dataloader
    assert cfg.val_dataloader.persistent_workers is True


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


def test_resume(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    cfg = Config(dict(load_from='weights.pth'))
    use_resume(cfg, 'auto', str(tmp_path))
    assert cfg.resume is True and cfg.load_from is None
    assert f'nothing to resume in {tmp_path}' in capsys.readouterr().out
    checkpoint = tmp_path / 'epoch_1.pth'
    checkpoint.touch()
    use_resume(cfg, str(checkpoint))
    assert cfg.load_from == str(checkpoint)


def test_missing_checkpoint_names_those_next_to_it(tmp_path: Path) -> None:
    (tmp_path / 'epoch_1.pth').touch()
    with pytest.raises(UsageError, match='epoch_2.pth does not exist; .* has epoch_1.pth'):
        check_checkpoint(str(tmp_path / 'epoch_2.pth'))
    check_checkpoint('s3://bucket/epoch_2.pth')
