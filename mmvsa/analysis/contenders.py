"""What a benchmark compares: models of several packages, in several modes.

A contender is written ``[SOURCE:]NAME[@OPTION,...]``, e.g. ``vitaev2-s-vsa@bfloat16,compile`` or
``timm:swin_tiny_patch4_window7_224``. Options: a dtype, ``channels_last``, ``compile``,
``with_cp``, ``keep_activations`` and ``backend=NAME`` (ours).
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmvsa.models.layers import WindowedAttention, WindowTransform
from mmvsa.ops.backends import check_backend_name

from .official import build_official, move_to

ImageSize = int | tuple[int, int]  # (height, width)
SOURCES = ('mmvsa', 'timm', 'mmpretrain', 'official')
DTYPES = {'float32': None, 'bfloat16': torch.bfloat16, 'float16': torch.float16}
FLAGS = ('channels_last', 'compile', 'with_cp', 'keep_activations')
TASKS = ('forward', 'backward', 'train')

_ALIASES = {'fp32': 'float32', 'bf16': 'bfloat16', 'fp16': 'float16'}
_IMPORTS = {
    'mmvsa': ('mmpretrain.models',),
    'timm': ('timm',),
    'mmpretrain': ('mmpretrain.models',),
    'official': ('timm', 'einops'),
}


@dataclass(frozen=True)
class Contender:
    """A model and how it runs.

    Attributes:
        source: one of :data:`SOURCES`.
        name: the model's, there.
        dtype: a key of :data:`DTYPES`; other than float32 means autocast.
        channels_last: put model and images into channels_last memory.
        compile: ``torch.compile`` it.
        with_cp: activation checkpointing of whole cells (ours).
        keep_activations: nothing is repeated in the backward pass (ours).
        backend: sampling backend of ours; the models' own choice if None.
        root: checkout of the authors' repository, for ``official``.
    """

    source: str
    name: str
    dtype: str = 'float32'
    channels_last: bool = False
    compile: bool = False
    with_cp: bool = False
    keep_activations: bool = False
    backend: str | None = None
    root: str | None = None

    @property
    def label(self) -> str:
        """How the contender is written."""
        source = '' if self.source == 'mmvsa' else f'{self.source}:'
        options = [self.dtype] if self.dtype != 'float32' else []
        options += [flag for flag in FLAGS if getattr(self, flag)]
        options += [f'backend={self.backend}'] if self.backend else []
        return source + self.name + ('@' + ','.join(options) if options else '')


def parse_contender(text: str, defaults: Contender) -> Contender:
    """Read ``[SOURCE:]NAME[@OPTION,...]``; what it leaves open comes from ``defaults``.

    Raises:
        ValueError: an unknown source or option.
    """
    model, _, options = text.partition('@')
    source, colon, name = model.partition(':')
    if not colon:
        source, name = 'mmvsa', model
    if source not in SOURCES:
        raise ValueError(f'unknown source {source!r} in {text!r}; choose one of {SOURCES}')
    if source == 'official' and defaults.root is None:
        raise ValueError(f"{text!r} needs --official PATH, a checkout of the authors' repository")
    contender = replace(defaults, source=source, name=name)
    for option in filter(None, options.replace('-', '_').split(',')):
        contender = _with_option(contender, option)
    return contender


def _with_option(contender: Contender, option: str) -> Contender:
    option = _ALIASES.get(option, option)
    if option in DTYPES:
        return replace(contender, dtype=option)
    if option in FLAGS:
        flag: dict[str, Any] = {option: True}
        return replace(contender, **flag)
    if option.startswith('backend='):
        return replace(contender, backend=check_backend_name(option.removeprefix('backend=')))
    known = [*DTYPES, *_ALIASES, *FLAGS, 'backend=NAME']
    raise ValueError(f'unknown option {option!r}; choose of {known}')


def build_model(contender: Contender, size: ImageSize, device: torch.device) -> nn.Module:
    """The classifier, ``model(images) -> logits`` of 1000 classes, with random weights."""
    model = _BUILDERS[contender.source](contender, size)
    for module in model.modules():
        # Fresh windows of ours do not move; the authors' do. Both shall sample between pixels.
        if isinstance(module, WindowTransform) and not module.is_static:
            module.regressor.reset_parameters()
        if isinstance(module, WindowedAttention) and contender.backend:
            module.backend = contender.backend
    model = move_to(model, device)
    if contender.channels_last:
        model = model.to(memory_format=torch.channels_last)
    return torch.compile(model) if contender.compile else model  # type: ignore[return-value]


def _build_mmvsa(contender: Contender, size: ImageSize) -> nn.Module:
    from mmvsa import get_model

    options = dict(with_cp=contender.with_cp, keep_activations=contender.keep_activations)
    return get_model(contender.name, backbone=options)


def _build_timm(contender: Contender, size: ImageSize) -> nn.Module:
    import timm

    try:
        return timm.create_model(contender.name, img_size=size)
    except TypeError:  # a convolutional network takes any size
        return timm.create_model(contender.name)


def _build_mmpretrain(contender: Contender, size: ImageSize) -> nn.Module:
    import mmpretrain

    return mmpretrain.get_model(contender.name, pretrained=False)


def _build_official(contender: Contender, size: ImageSize) -> nn.Module:
    assert contender.root is not None
    if not isinstance(size, int):
        raise ValueError(f"the authors' classifiers take squares, not images of {size}")
    return build_official(contender.root, contender.name, size)


_BUILDERS: dict[str, Callable[[Contender, ImageSize], nn.Module]] = {
    'mmvsa': _build_mmvsa,
    'timm': _build_timm,
    'mmpretrain': _build_mmpretrain,
    'official': _build_official,
}


@dataclass(frozen=True)
class Workload:
    """A contender's task on a batch.

    Attributes:
        task: ``forward`` (evaluation mode, no gradients), ``backward`` (training mode, forward
            and backward of the loss) or ``train`` (that, and a step of AdamW).
        batch: images.
        size: their height and width, one number for a square.
        device: name of the device.
    """

    contender: Contender
    task: str
    batch: int
    size: ImageSize
    device: str = 'cpu'

    def build(self) -> Callable[[], object]:
        """What to call for one step."""
        device = torch.device(self.device)
        torch.manual_seed(0)
        return self.bind(build_model(self.contender, self.size, device))

    def bind(self, model: nn.Module) -> Callable[[], object]:
        """What to call for one step of a model that is built already."""
        device = torch.device(self.device)
        height, width = (self.size, self.size) if isinstance(self.size, int) else self.size
        images = torch.randn(self.batch, 3, height, width, device=device)
        if self.contender.channels_last:
            images = images.to(memory_format=torch.channels_last)
        context = _Autocast(device, DTYPES[self.contender.dtype])
        if self.task == 'forward':
            return _forward_call(model, images, context)
        labels = torch.arange(self.batch, device=device) % 1000
        optimizer = None
        if self.task == 'train':
            optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)
        return _training_call(model, images, labels, context, optimizer)


def import_packages(workload: Workload) -> None:
    """Import what building will need, so that it does not count as the model's memory."""
    for name in _IMPORTS[workload.contender.source]:
        importlib.import_module(name)


def build_step(workload: Workload) -> Callable[[], object]:
    """``workload.build()``, as a function that a child process can import."""
    return workload.build()


@dataclass(frozen=True)
class _Autocast:
    device: torch.device
    dtype: torch.dtype | None

    def __call__(self) -> Any:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None)


def _forward_call(model: nn.Module, images: Tensor, context: _Autocast) -> Callable[[], object]:
    def call() -> Tensor:
        model.eval()
        with torch.no_grad(), context():
            return model(images)

    return call


def _training_call(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    context: _Autocast,
    optimizer: torch.optim.Optimizer | None,
) -> Callable[[], object]:
    half = context.dtype == torch.float16
    scaler = torch.amp.GradScaler(images.device.type, enabled=half)

    def call() -> Tensor:
        model.train()
        model.zero_grad(set_to_none=True)
        with context():
            loss = F.cross_entropy(_logits(model(images)).float(), labels)
        scaler.scale(loss).backward()
        if optimizer is not None:
            scaler.step(optimizer)
            scaler.update()
        return loss

    return call


def _logits(output: Tensor | Sequence[Tensor]) -> Tensor:
    return output if isinstance(output, Tensor) else output[-1]
