"""Varied-size window attention and its vision backbones for OpenMMLab.

Importing mmvsa loads no model and no host package: it defines the registries, which import their
modules on first use, and tells MMEngine where ``mmvsa::`` and ``mmseg::`` bases are. Everything
else is imported when it is asked for. Where MMEngine is not installed, :mod:`mmvsa.ops` is there.
"""

import functools
import importlib
import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from . import registry
    from .apis import get_model, list_models

__all__ = ['__version__', 'get_model', 'list_models', 'registry']

_SUBMODULES = (
    'apis',
    'datasets',
    'engine',
    'evaluation',
    'hub',
    'models',
    'ops',
    'visualization',
)


def _register_packages() -> None:
    """Define the registries, and tell MMEngine where ``mmvsa::`` and ``mmseg::`` bases are."""
    from mmengine.config.utils import MODULE2PACKAGE
    from mmengine.utils import is_installed

    importlib.import_module(f'{__name__}.registry')
    # MMEngine knows packages by their distributions: not mmvsa, and mmseg only as `mmsegmentation`
    # (onedl-mmsegmentation is another distribution). It takes the name of a module as well.
    MODULE2PACKAGE.setdefault('mmvsa', 'mmvsa')
    if not is_installed(MODULE2PACKAGE['mmseg']):
        MODULE2PACKAGE['mmseg'] = 'mmseg'


def _quiet_debugging() -> None:
    """Let MMEngine's ``print_log`` drop messages for debugging where it has no logger.

    It prints them whatever their level, and host packages report at import, in this way, which
    optional packages are missing.
    """
    from mmengine import logging as mmengine_logging

    print_log = mmengine_logging.print_log

    @functools.wraps(print_log)
    def print_log_by_level(msg: Any, logger: Any = None, level: int = logging.INFO) -> None:
        if logger is not None or level > logging.DEBUG:
            print_log(msg, logger, level)

    mmengine_logging.print_log = print_log_by_level


# The operators need PyTorch alone, and can be used and measured where nothing else is installed.
if find_spec('mmengine') is not None:
    _register_packages()
    _quiet_debugging()
    importlib.import_module(f'{__name__}.hub').register_with_mmpretrain()


def __getattr__(name: str) -> Any:
    """Import a submodule, or a function of :mod:`mmvsa.apis`, on first access (PEP 562)."""
    if name in _SUBMODULES:
        return importlib.import_module(f'{__name__}.{name}')
    if name in __all__:
        return getattr(importlib.import_module(f'{__name__}.apis'), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
