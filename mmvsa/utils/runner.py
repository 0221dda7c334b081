"""From a config and the options of a tool to MMEngine's runner."""

import os
import tempfile
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner, find_latest_checkpoint

from .config import CONFIG_ROOT
from .data import LOADERS, check_datasets
from .distributed import has_gpu, init_without_gpu
from .errors import UsageError


def build_runner(
    cfg: Config,
    config_path: str | os.PathLike,
    work_dir: str | None = None,
    launcher: str = 'none',
    loaders: tuple[str, ...] = LOADERS,
) -> Runner:
    """Check the config and build its runner; the work dir gets a copy of the config.

    Args:
        cfg: a config of mmpretrain, mmdet, mmseg, mmrotate or mmpose.
        config_path: its file; names the default work dir.
        work_dir: wins over the config's.
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        loaders: the dataloaders that will be used.

    Raises:
        UsageError: a dataset is missing, the work dir cannot be written.
    """
    cfg.launcher = launcher
    cfg.work_dir = work_dir or cfg.get('work_dir') or f'./work_dirs/{Path(config_path).stem}'
    _check_writable(Path(cfg.work_dir))
    check_datasets(cfg, loaders)
    _complete_dataloaders(cfg)
    if not has_gpu() and cfg.get('env_cfg', {}).get('dist_cfg'):
        cfg.env_cfg.dist_cfg.backend = 'gloo'
    if launcher != 'none' and not has_gpu():
        init_without_gpu(cfg, launcher)
    if launcher == 'none' and cfg.get('strategy'):
        _drop_strategy(cfg)
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)


def _drop_strategy(cfg: Config) -> None:
    """One process has nothing to split: it trains, or tests a full checkpoint, without."""
    print(f'{cfg.strategy.type} needs --launcher: this process runs without it')
    cfg.pop('strategy')
    cfg.pop('runner_type', None)


def use_amp(cfg: Config, dtype: str | None = None) -> None:
    """Train in mixed precision: float16 with loss scaling, or bfloat16 (the CPU's only one).

    Raises:
        UsageError: float16 without a GPU, or an optimizer wrapper with its own rules.
    """
    wrapper = cfg.optim_wrapper
    if wrapper.get('type', 'OptimWrapper') not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise UsageError(f'--amp does not know optim_wrapper.type={wrapper.type}')
    if has_gpu():
        wrapper.update(type='AmpOptimWrapper', dtype=dtype or 'float16', loss_scale='dynamic')
    elif dtype == 'float16':
        raise UsageError('--amp float16 needs a GPU; use --amp bfloat16')
    else:
        wrapper.type = 'mmvsa.CpuAmpOptimWrapper'
        wrapper.pop('loss_scale', None)


def use_resume(cfg: Config, resume: str, work_dir: str | None = None) -> None:
    """Continue from a checkpoint, or with ``'auto'`` from the latest in the work dir.

    Raises:
        UsageError: the checkpoint does not exist.
    """
    cfg.resume = True
    cfg.load_from = None
    if resume != 'auto':
        check_checkpoint(resume)
        cfg.load_from = resume
        return
    work_dir = work_dir or cfg.get('work_dir')
    if work_dir and os.path.isdir(work_dir) and find_latest_checkpoint(work_dir) is None:
        print(f'nothing to resume in {work_dir}: training starts from the beginning')


def check_checkpoint(path: str) -> None:
    """Raise UsageError unless the checkpoint exists; the message names those beside it."""
    if '://' in path or os.path.isfile(path):
        return
    folder = Path(path).parent
    beside = sorted(file.name for file in folder.glob('*.pth')) if folder.is_dir() else []
    listing = f'; {folder} has {", ".join(beside)}' if beside else ''
    raise UsageError(f'checkpoint {path} does not exist{listing}')


def check_pretrained(cfg: Config) -> None:
    """Raise UsageError if a local checkpoint that the model starts from does not exist.

    A checkpoint in the default work dir of one of mmvsa's configs is made by training that config.
    """
    for key in ('model.backbone', 'model'):
        module = cfg.model.get('backbone', {}) if key.endswith('backbone') else cfg.model
        init_cfg = module.get('init_cfg') or {}
        path = init_cfg.get('checkpoint') if isinstance(init_cfg, dict) else None
        if path and '://' not in path and not os.path.isfile(path):
            maker = next(CONFIG_ROOT.rglob(f'{Path(path).parent.name}.py'), None)
            get = 'put it there'
            if maker is not None:
                get = f'make it with "python tools/train.py {os.path.relpath(maker)}"'
            raise UsageError(
                f'{key}.init_cfg.checkpoint points to {path}, which does not exist; {get}, '
                f'name another with --cfg-options {key}.init_cfg.checkpoint=PATH, or train from '
                f'scratch with {key}.init_cfg=None'
            )


def _check_writable(work_dir: Path) -> None:
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=work_dir):
            pass
    except OSError as error:
        raise UsageError(
            f'cannot write to the work dir {work_dir} ({error.strerror}); name another one with '
            '--work-dir PATH'
        ) from error


def _complete_dataloaders(cfg: Config) -> None:
    """Options that a dataloader leaves out; what it says stays."""
    for name in LOADERS:
        loader = cfg.get(name)
        if not loader:
            continue
        loader.setdefault('pin_memory', has_gpu())
        loader.setdefault('persistent_workers', True)
        if not loader.get('num_workers', 0):
            # PyTorch refuses these where there is no worker.
            loader.persistent_workers = False
            loader.pop('prefetch_factor', None)
        if cfg.get('default_scope') == 'mmpretrain':
            loader.setdefault('collate_fn', dict(type='default_collate'))
