"""From a config and the options of a tool to MMEngine's runner."""

import os
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmvsa.models.checkpoints import install_pretrained_init

from .commands import tool_command
from .config import CONFIG_ROOT
from .data import LOADERS, check_datasets, dataset_attribute, iter_datasets
from .distributed import has_gpu, init_without_gpu
from .drawing import guard_drawing
from .errors import UsageError
from .files import install_whole_files
from .settings import SettingsHook, fit_topk, settings_error
from .work_dir import check_writable, use_work_dir


def build_runner(
    cfg: Config,
    config_path: str | os.PathLike,
    work_dir: str | None = None,
    launcher: str = 'none',
    loaders: tuple[str, ...] = LOADERS,
) -> Runner:
    """Check the config and build its runner; the work dir gets a copy of the config.

    The copy of a test is named after it, so that the training's stays what it was.

    Args:
        cfg: a config of mmpretrain, mmdet, mmseg, mmrotate or mmpose.
        config_path: its file; names the default work dir.
        work_dir: wins over the config's.
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        loaders: the dataloaders that will be used.

    Raises:
        UsageError: a dataset is missing, the work dir cannot be written, settings contradict each
            other.
    """
    cfg.launcher = launcher
    use_work_dir(cfg, config_path, work_dir)
    check_writable(cfg.work_dir)
    check_datasets(cfg, loaders)
    fit_topk(cfg)
    _complete_dataloaders(cfg)
    install_whole_files()
    install_pretrained_init()
    _add_hooks(cfg)
    if not has_gpu() and cfg.get('env_cfg', {}).get('dist_cfg'):
        cfg.env_cfg.dist_cfg.backend = 'gloo'
    if launcher != 'none' and not has_gpu():
        init_without_gpu(cfg, launcher)
    if launcher == 'none' and cfg.get('strategy'):
        _drop_strategy(cfg)
    if 'train_dataloader' not in loaders:
        cfg = _named_test(cfg)
    try:
        runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    except Exception as error:
        raise settings_error(cfg, error) from error
    _register_guards(runner)
    return runner


def _named_test(cfg: Config) -> Config:
    """Return the config under the file name ``<stem>_test.py``."""
    path = Path(cfg.filename or 'config.py')
    name = str(path.with_stem(f'{path.stem}_test'))
    return Config(cfg.to_dict(), cfg_text=cfg.text, filename=name)


def _register_guards(runner: Runner) -> None:
    """Add what watches every run: settings, losses, drawings."""
    from mmvsa.engine.hooks import FiniteLossHook  # imports this package

    runner.register_hook(SettingsHook())
    if not any(isinstance(hook, FiniteLossHook) for hook in runner.hooks):
        runner.register_hook(FiniteLossHook())
    guard_drawing(runner.visualizer)


def run(runner: Runner, method: str) -> Any:
    """Train or test; what fails before the end of the first iteration is one line.

    Args:
        runner: By :func:`build_runner`.
        method: ``'train'`` or ``'test'``.

    Raises:
        UsageError: Something in the config cannot be built, or does not fit the data.
    """
    try:
        return getattr(runner, method)()
    except Exception as error:
        if any(isinstance(hook, SettingsHook) and hook.started for hook in runner.hooks):
            raise
        raise settings_error(runner.cfg, error) from error


def _add_hooks(cfg: Config) -> None:
    """Let checkpoints be written, checked and resumed as mmvsa does it, in any host's config."""
    hooks = cfg.setdefault('default_hooks', ConfigDict())
    hooks.setdefault('checkpoint', ConfigDict(type='CheckpointHook', interval=1))
    if hooks.checkpoint and hooks.checkpoint.get('type') == 'CheckpointHook':
        hooks.checkpoint.type = 'mmvsa.CheckpointHook'
    hooks.checkpoint_guard = dict(type='mmvsa.CheckpointGuardHook')
    hooks.random_state = dict(type='mmvsa.RandomStateHook')


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
    elif 'rpn_head' in (cfg.get('model') or {}):
        raise UsageError(
            "--amp on a CPU is not for detectors with proposals: mmcv's NMS takes float32"
        )
    else:
        wrapper.type = 'mmvsa.CpuAmpOptimWrapper'
        wrapper.pop('loss_scale', None)


def use_skip_nan(cfg: Config) -> None:
    """Leave out batches whose loss is not finite, instead of stopping."""
    _add_hook(cfg, dict(type='mmvsa.FiniteLossHook', skip=True))


def use_skip_bad_images(cfg: Config) -> None:
    """Leave out images that cannot be read, and report them at the end of the epoch.

    Raises:
        UsageError: no dataset can.
    """
    able = [data for _, data in iter_datasets(cfg) if dataset_attribute(data, 'bad_images')]
    if not able:
        types = sorted({str(data.type) for _, data in iter_datasets(cfg)})
        raise UsageError(f'--skip-bad-images is for mmvsa.FolderSplit, not {", ".join(types)}')
    for data in able:
        data.skip_bad = True
    _add_hook(cfg, dict(type='mmvsa.SkippedImagesHook'))


def _add_hook(cfg: Config, hook: dict[str, Any]) -> None:
    hooks = cfg.get('custom_hooks') or []
    cfg.custom_hooks = [h for h in hooks if h['type'] != hook['type']] + [hook]


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
                get = f'make it with {tool_command("train", maker)}'
            raise UsageError(
                f'{key}.init_cfg.checkpoint points to {path}, which does not exist; {get}, '
                f'name another with --cfg-options {key}.init_cfg.checkpoint=PATH, or train from '
                f'scratch with {key}.init_cfg=None'
            )


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
        if isinstance(loader.get('collate_fn'), dict):
            # A base of another package has it; MMEngine would pass it to the function.
            loader.collate_fn.pop('_scope_', None)
