"""Reading configs: near matches of a wrong path, old options, ``data_root`` as one option."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmvsa.suggestions import did_you_mean

from .data import use_data_root
from .errors import UsageError
from .migration import migrate
from .options import check_keys, check_options, parse_options

# Host packages that tools/install.sh leaves out, and its option that adds them.
OPTIONAL_HOSTS = {'mmrotate': '--rotate', 'mmpose': '--pose'}
CONFIG_ROOT = Path(__file__).resolve().parents[2] / 'configs'


def load_config(
    path: str | os.PathLike, options: dict[str, Any] | Sequence[str] | None = None
) -> Config:
    """Read a config file and apply the overrides of ``--cfg-options``.

    Overrides are a dict, or the words ``KEY=VALUE`` as a user has typed them, see
    :func:`~mmvsa.utils.options.parse_options`. The option ``data_root`` reaches every dataset, see
    :func:`~mmvsa.utils.data.use_data_root`. Options of earlier versions are translated, see
    :mod:`mmvsa.utils.migration`.

    Raises:
        UsageError: there is no such file, or no such package as its bases come from, the file is
            no config, or nothing reads a key.
    """
    _check_config_file(Path(path))
    cfg = _read_config(path)
    check_keys(cfg)
    options = dict(options if isinstance(options, dict) else parse_options(options or ()))
    data_root = options.pop('data_root', None)
    if data_root is not None:
        use_data_root(cfg, str(data_root))
    check_options(cfg, options)
    try:
        cfg.merge_from_dict(options)  # after data_root, so that an explicit option wins
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise UsageError(f'--cfg-options do not fit {os.fspath(path)}: {error}') from error
    return cfg


def _read_config(path: str | os.PathLike) -> Config:
    try:
        cfg = Config.fromfile(path)
        migrate(cfg)  # imports what the file imports
        return cfg
    except ModuleNotFoundError as error:
        raise _missing_host(path, error) from error
    except (SyntaxError, NameError, KeyError, TypeError, OSError, ImportError, ValueError) as error:
        text = ' '.join(str(error).split())
        raise UsageError(
            f'config {os.fspath(path)} cannot be read: {type(error).__name__}: {text}'
        ) from error


def _missing_host(path: str | os.PathLike, error: ModuleNotFoundError) -> Exception:
    """Say what to do about a module that is missing, such as the base ``mmrotate::...``."""
    package, _, rest = str(error).partition(' ')
    if package not in OPTIONAL_HOSTS or not rest.startswith('is not installed'):
        return UsageError(f'config {os.fspath(path)} cannot be read: {error}')
    return missing_host(path, package)


def missing_host(path: str | os.PathLike, package: str) -> UsageError:
    """Return the error of a config whose host package is not installed."""
    command = ' '.join(['tools/install.sh', OPTIONAL_HOSTS.get(package, '')]).rstrip()
    return UsageError(
        f'config {os.fspath(path)} needs {package}, which is not installed; run {command}'
    )


def _check_config_file(path: Path) -> None:
    if path.is_file():
        return
    if path.is_dir():
        raise UsageError(f'config {path} is a folder; name a .py file in it')
    roots = [root for root in (CONFIG_ROOT, path.parent) if root.is_dir()]
    files = {file.stem: os.path.relpath(file) for root in roots for file in root.rglob('*.py')}
    near = did_you_mean(path.stem, files, lambda stem: files[stem])
    raise UsageError(f'config {path} does not exist{near}')
