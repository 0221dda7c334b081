"""Load the authors' models from a checkout of their repository, unchanged, on any device.

Their code was written for timm 0.4, numpy 1 and a GPU. What has gone since is put back while a
model is built, and taken away again.
"""

import contextlib
import importlib
import importlib.util
import io
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

# Folders of model code below the checkout or its Image-Classification folder.
PACKAGES = ('vitaev2_vsa', 'vitaev2', 'vitae')
_PREFIX = '_mmvsa_official_'


class OfficialCodeError(RuntimeError):
    """The checkout does not hold what was asked for; the message says where it was looked for."""


def build_official(root: str | Path, name: str, size: int = 224, **options: Any) -> nn.Module:
    """Build one of the authors' classifiers, e.g. ``ViTAEv2_VSA_S``, on the CPU.

    Args:
        root: their checkout, or its ``Image-Classification`` folder.
        name: of a function in one of :data:`PACKAGES`.
        size: image size that is baked into the model.
        options: passed on, such as ``drop_path_rate``.
    """
    with _authors_environment():
        known: list[str] = []
        for module in _packages(Path(root)):
            builders = _builders(module)
            if name in builders:
                return builders[name](img_size=size, **options)
            known += builders
    raise OfficialCodeError(f'no model {name!r} in {root}; it has {sorted(set(known))}')


def official_class(root: str | Path, package: str, module: str, name: str) -> type[nn.Module]:
    """A class of theirs, e.g. ``('vitaev2_vsa', 'vsa', 'VSAWindowAttention')``.

    Build it inside :func:`on_cpu`.
    """
    with _authors_environment():
        loaded = _load_package(_find_package(Path(root), package))
        return getattr(sys.modules[f'{loaded.__name__}.{module}'], name)


def move_to(model: nn.Module, device: torch.device | str) -> nn.Module:
    """``model.to(device)``, with the tensors that their modules hold as plain attributes."""
    for module in model.modules():
        for key, value in vars(module).items():
            if isinstance(value, Tensor):
                setattr(module, key, value.to(device))
    return model.to(device)


@contextlib.contextmanager
def on_cpu() -> Iterator[None]:
    """Make ``tensor.cuda()`` return the tensor itself, and silence prints and old-API warnings."""
    cuda = Tensor.cuda
    Tensor.cuda = lambda self, *args, **kwargs: self  # type: ignore[method-assign]
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        Tensor.cuda = cuda  # type: ignore[method-assign]


@contextlib.contextmanager
def _authors_environment() -> Iterator[None]:
    """The modules that their imports name, in ``sys.modules`` while the block runs."""
    with on_cpu():
        shims = _shims()
        before = {name: sys.modules.get(name) for name in shims}
        write_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        sys.modules.update(shims)
        try:
            yield
        finally:
            sys.dont_write_bytecode = write_bytecode
            for name, module in before.items():
                if module is None:
                    sys.modules.pop(name, None)
                else:
                    sys.modules[name] = module


def _shims() -> dict[str, types.ModuleType]:
    """Stand-ins for modules of timm 0.4, numpy 1 and Python 3.12 or older."""
    import numpy as np
    import timm.layers

    return {
        'timm.models.layers': timm.layers,
        # Registering would put their models into timm's own list.
        'timm.models.registry': _module('timm.models.registry', register_model=lambda f: f),
        'timm.models.helpers': _module('timm.models.helpers', load_pretrained=_no_download),
        'numpy.core.fromnumeric': _module(
            'numpy.core.fromnumeric', resize=np.resize, shape=np.shape
        ),
        'lib2to3.pgen2': _module('lib2to3.pgen2', token=None),
        'lib2to3': _module('lib2to3', pgen2=None),
    }


def _module(name: str, **contents: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(contents)
    return module


def _no_download(*args: Any, **kwargs: Any) -> None:
    raise OfficialCodeError('pretrained weights are not downloaded; load a checkpoint yourself')


def _find_package(root: Path, package: str) -> Path:
    for folder in (root / package, root / 'Image-Classification' / package):
        if (folder / '__init__.py').is_file():
            return folder
    raise OfficialCodeError(
        f'{root} has no {package}/ and no Image-Classification/{package}/; '
        'give the path of a checkout of the ViTAE-VSA repository'
    )


def _packages(root: Path) -> Iterator[types.ModuleType]:
    """Import one package after the other: a model of the first needs no other."""
    found = False
    for package in PACKAGES:
        with contextlib.suppress(OfficialCodeError):
            folder = _find_package(root, package)
            found = True
            yield _load_package(folder)
    if not found:
        _find_package(root, PACKAGES[0])


def _load_package(folder: Path) -> types.ModuleType:
    """Import a folder under a private name, without touching ``sys.path``."""
    name = _PREFIX + folder.name
    loaded = sys.modules.get(name)
    if loaded is not None and loaded.__path__ == [str(folder)]:
        return loaded
    for old in [key for key in sys.modules if key == name or key.startswith(f'{name}.')]:
        del sys.modules[old]
    spec = importlib.util.spec_from_file_location(
        name, folder / '__init__.py', submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _builders(module: types.ModuleType) -> dict[str, Callable[..., nn.Module]]:
    """Functions of a package that build models: those that take ``pretrained``."""
    found: dict[str, Callable[..., nn.Module]] = {}
    for key, value in vars(module).items():
        if isinstance(value, types.FunctionType) and value.__module__.startswith(module.__name__):
            if 'pretrained' in value.__code__.co_varnames[: value.__code__.co_argcount]:
                found[key] = value
    return found
