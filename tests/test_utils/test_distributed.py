"""Several processes without a GPU."""

import pytest
import torch.distributed as dist
from mmengine.config import Config

from mmvsa.utils import UsageError, leave_group
from mmvsa.utils.distributed import init_without_gpu


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
