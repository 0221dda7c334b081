"""Reading configs: near matches of a wrong path, old options, ``data_root`` as one option."""

import os
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .data import use_data_root
from .errors import UsageError, did_you_mean
from .migration import migrate

# Host packages that tools/install.sh leaves out, and its option that adds them.
OPTIONAL_HOSTS = {'mmrotate': '--rotate', 'mmpose': '--pose'}
CONFIG_ROOT = Path(__file__).resolve().parents[2] / 'configs'


def load_config(path: str | os.PathLike, options: dict[str, Any] | None = None) -> Config:
    """Read a config file and apply the overrides of ``--cfg-options``.

    The option ``data_root`` reaches every dataset, see :func:`~mmvsa.utils.data.use_data_root`.
    Options of earlier versions are translated, see :mod:`mmvsa.utils.migration`.

    Raises:
        UsageError: there is no such file, or no such package as its bases come from.
    """
    _check_config_file(Path(path))
    try:
        cfg = Config.fromfile(path)
    except ModuleNotFoundError as error:
        raise _missing_host(path, error) from error
    migrate(cfg)
    options = dict(options or {})
    data_root = options.pop('data_root', None)
    if data_root is not None:
        use_data_root(cfg, str(data_root))
    cfg.merge_from_dict(options)  # after data_root, so that an explicit option wins
    return cfg


def _missing_host(path: str | os.PathLike, error: ModuleNotFoundError) -> Exception:
    """What to do about a base like ``mmrotate::...`` without mmrotate; else the error itself."""
    package, _, rest = str(error).partition(' ')
    if package not in OPTIONAL_HOSTS or not rest.startswith('is not installed'):
        return error
    return missing_host(path, package)


def missing_host(path: str | os.PathLike, package: str) -> UsageError:
    """Return the error of a config whose host package is not installed."""
    option = OPTIONAL_HOSTS.get(package)
    return UsageError(
        f'config {os.fspath(path)} needs {package}, which is not installed; '
        f'run tools/install.sh{f" {option}" if option else ""}'
    )


def _check_config_file(path: Path) -> None:
    if path.is_file():
        return
    if path.is_dir():
        raise UsageError(f'config {path} is a folder; name a .py file in it')
    roots = [root for root in (CONFIG_ROOT, path.parent) if root.is_dir()]
    files = {file.name: file for root in roots for file in root.rglob('*.py')}
    near = did_you_mean(path.name, files)
    for name, file in files.items():
        near = near.replace(name, os.path.relpath(file))
    raise UsageError(f'config {path} does not exist{near}')
