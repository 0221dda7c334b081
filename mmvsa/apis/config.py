"""Reading configs: package bases, near matches of a wrong path, ``data_root`` as one option."""

import os
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.utils import is_installed

from .data import use_data_root
from .errors import UsageError, did_you_mean

# Host packages that tools/install.sh leaves out, and its option that adds them.
OPTIONAL_HOSTS = {'mmrotate': '--rotate', 'mmpose': '--pose'}
CONFIG_ROOT = Path(__file__).resolve().parents[2] / 'configs'


def register_config_packages() -> None:
    """Let MMEngine resolve ``mmseg::`` and ``mmvsa::`` in ``_base_``.

    MMEngine looks a package up by its distribution's name, knows mmseg only as
    ``mmsegmentation`` (onedl-mmsegmentation is another distribution), and does not know mmvsa.
    A module's name serves as well; that is what it has for ``mmrotate::`` and ``mmpose::``.
    """
    MODULE2PACKAGE.setdefault('mmvsa', 'mmvsa')
    if not is_installed(MODULE2PACKAGE['mmseg']):
        MODULE2PACKAGE['mmseg'] = 'mmseg'


def load_config(path: str | os.PathLike, options: dict[str, Any] | None = None) -> Config:
    """A config file with the overrides of ``--cfg-options``.

    The option ``data_root`` reaches every dataset, see :func:`~mmvsa.apis.data.use_data_root`.

    Raises:
        UsageError: there is no such file, or no such package as its bases come from.
    """
    _check_config_file(Path(path))
    register_config_packages()
    try:
        cfg = Config.fromfile(path)
    except ModuleNotFoundError as error:
        raise _missing_host(path, error) from error
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
    return UsageError(
        f'config {os.fspath(path)} needs {package}, which is not installed; run '
        f'tools/install.sh {OPTIONAL_HOSTS[package]}'
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
