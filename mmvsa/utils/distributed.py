"""Processes without a GPU: MMEngine's own initialization always selects a CUDA device."""

import datetime
import os
from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from mmengine.config import Config

from .errors import UsageError

# launcher -> variables that hold (rank, world size, local rank)
_VARIABLES = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
}
LAUNCHERS = ('none', *_VARIABLES)


def init_without_gpu(cfg: Config, launcher: str) -> None:
    """Join a gloo group and tell MMEngine to wrap the model without device ids.

    ``env_cfg.dist_cfg`` holds as with a GPU: after its ``timeout``, in seconds, a process that
    waits for another one fails, and the launcher ends the run.

    Raises:
        UsageError: a variable of the launcher is missing, or PyTorch does not take ``dist_cfg``.
    """
    _export_ranks(launcher)
    if not dist.is_initialized():
        _init_group(cfg.get('env_cfg', {}).get('dist_cfg') or {})
    wrapper = dict(type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False)
    if cfg.get('find_unused_parameters'):
        wrapper['find_unused_parameters'] = True
    cfg.setdefault('model_wrapper_cfg', wrapper)


def _init_group(dist_cfg: Mapping[str, Any]) -> None:
    options = {key: value for key, value in dist_cfg.items() if key != 'backend'}
    try:
        if 'timeout' in options:
            options['timeout'] = datetime.timedelta(seconds=options['timeout'])
        dist.init_process_group('gloo', **options)
    except (TypeError, ValueError) as error:
        raise UsageError(f'env_cfg.dist_cfg={dict(dist_cfg)} is not valid: {error}') from error


def is_first_process(launcher: str) -> bool:
    """Whether this is the process that writes, by the variables of the launcher."""
    return launcher == 'none' or os.environ.get(_VARIABLES[launcher][0], '0') == '0'


def leave_group() -> None:
    """End together: a process that exits while others still talk can abort them (or itself)."""
    if dist.is_available() and dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def has_gpu() -> bool:
    """Whether MMEngine would put the model on an accelerator."""
    from mmengine.device import get_device

    return get_device() != 'cpu' or torch.cuda.is_available()


def _export_ranks(launcher: str) -> None:
    """Copy the launcher's variables to those that PyTorch reads."""
    for source, target in zip(_VARIABLES[launcher], _VARIABLES['pytorch'], strict=True):
        if source not in os.environ:
            raise UsageError(
                f'--launcher {launcher} needs the variable {source}; start with '
                f'tools/dist_train.sh or tools/slurm_train.sh, or leave the option out'
            )
        os.environ[target] = os.environ[source]
    os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
    os.environ.setdefault('MASTER_PORT', '29500')
