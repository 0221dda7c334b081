"""Load models of the official implementation from a checkout, unchanged, on any device.

https://github.com/ViTAE-Transformer/ViTAE-VSA, which needs timm and einops.
"""

import contextlib
import importlib
import io
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from unittest import mock

import torch
from torch import Tensor, nn

# Folders of models in Image-Classification of the checkout.
PACKAGES = ('vitaev2_vsa', 'vitaev2', 'vitae')


def build_official(root: str | Path, name: str, size: int = 224) -> nn.Module:
    """Build an official classifier on the CPU.

    Args:
        root: the checkout.
        name: function in one of :data:`PACKAGES`, e.g. ``ViTAEv2_VSA_S``.
        size: height and width of the images.

    Raises:
        ValueError: the checkout does not have it.
    """
    with official_environment(root):
        modules = [importlib.import_module(package) for package in PACKAGES if _has(root, package)]
        for module in modules:
            if name in _models(module):
                return getattr(module, name)(img_size=size)
    known = sorted(model for module in modules for model in _models(module))
    raise ValueError(f'no model {name!r} in {root}; it has {known}')


def build_official_attention(
    root: str | Path, dims: int, heads: int, *, window: int, size: tuple[int, int]
) -> nn.Module:
    """Build the official attention on (B, C, H, W) maps of one size."""
    with official_environment(root):
        module = importlib.import_module('vitaev2_vsa.vsa')
        return module.VSAWindowAttention(
            dims, out_dim=dims, num_heads=heads, window_size=window, img_size=size
        )


def move_to(model: nn.Module, device: str) -> nn.Module:
    """Return ``model.to(device)``, with the tensors that modules hold as plain attributes."""
    for module in model.modules():
        for key, value in vars(module).items():
            if isinstance(value, Tensor):
                setattr(module, key, value.to(device))
    return model.to(device)


@contextlib.contextmanager
def official_environment(root: str | Path) -> Iterator[None]:
    """Make the packages importable and ``tensor.cuda()`` inert; silence prints and warnings."""
    if not any(_has(root, package) for package in PACKAGES):
        raise ValueError(f'{root} is no checkout of ViTAE-VSA: it has none of {PACKAGES}')
    path = [*sys.path, str(Path(root) / 'Image-Classification')]
    with (
        _stand_ins(),
        mock.patch.object(sys, 'path', path),
        mock.patch.object(sys, 'dont_write_bytecode', True),
        mock.patch.object(torch.Tensor, 'cuda', lambda tensor, *args, **kwargs: tensor),
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter('ignore')
        yield


@contextlib.contextmanager
def _stand_ins() -> Iterator[None]:
    """Stand in for lib2to3, which is imported and not used, and not in every Python."""
    names = {'lib2to3', 'lib2to3.pgen2'} - sys.modules.keys()
    sys.modules.update({name: mock.MagicMock() for name in names})
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


def _has(root: str | Path, package: str) -> bool:
    return (Path(root) / 'Image-Classification' / package / '__init__.py').is_file()


def _models(module: ModuleType) -> list[str]:
    """Names of the functions that build models: timm's ``register_model`` lists them."""
    inner = (value for value in vars(module).values() if isinstance(value, ModuleType))
    return [name for part in inner for name in getattr(part, '__all__', ())]
