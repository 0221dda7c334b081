"""Several processes without a GPU."""

import pytest
import torch.distributed as dist
from mmengine.config import Config

from mmvsa.utils import UsageError, leave_group
from mmvsa.utils.distributed import init_without_gpu, is_first_process


@pytest.mark.parametrize(('launcher', 'variable'), [('pytorch', 'RANK'), ('slurm', 'SLURM_PROCID')])
def test_missing_variables(monkeypatch: pytest.MonkeyPatch, launcher: str, variable: str) -> None:
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UsageError, match=f'--launcher {launcher} needs the variable {variable}'):
        init_without_gpu(Config({}), launcher)


def test_a_group_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ranks of Slurm become PyTorch's, and the model is wrapped without device ids."""
    slurm = dict(SLURM_PROCID='0', SLURM_NTASKS='1', SLURM_LOCALID='0', MASTER_PORT='0')
    for name, value in slurm.items():
        monkeypatch.setenv(name, value)
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'):
        monkeypatch.setenv(name, '')  # restored afterwards
    cfg = Config(dict(find_unused_parameters=True))
    init_without_gpu(cfg, 'slurm')
    assert dist.get_backend() == 'gloo' and dist.get_world_size() == 1
    assert cfg.model_wrapper_cfg.device_ids is None
    assert cfg.model_wrapper_cfg.find_unused_parameters is True
    leave_group()
    assert not dist.is_initialized()
    leave_group()  # nothing to leave


@pytest.mark.parametrize('options', [dict(timeout='soon'), dict(timeouts=15)])
def test_wrong_options_of_the_group(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, object]
) -> None:
    slurm = dict(SLURM_PROCID='0', SLURM_NTASKS='1', SLURM_LOCALID='0', MASTER_PORT='0')
    for name, value in slurm.items():
        monkeypatch.setenv(name, value)
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'):
        monkeypatch.setenv(name, '')
    cfg = Config(dict(env_cfg=dict(dist_cfg=dict(backend='nccl', **options))))
    with pytest.raises(UsageError, match=r'env_cfg.dist_cfg=.*is not valid'):
        init_without_gpu(cfg, 'slurm')
    assert not dist.is_initialized()


def test_the_first_process_is_known_before_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('SLURM_PROCID', '1')
    assert is_first_process('none') and not is_first_process('slurm')
    monkeypatch.setenv('SLURM_PROCID', '0')
    assert is_first_process('slurm')
