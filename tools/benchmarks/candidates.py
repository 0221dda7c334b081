"""What a benchmark compares: models of several packages, in several modes.

A candidate is written ``[SOURCE:]NAME[@OPTION,...]``, e.g. ``vitaev2-s-vsa@bfloat16,compile`` or
``timm:swin_tiny_patch4_window7_224``, or it is the path of a detector's config.
"""

import dataclasses
import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from measure import DTYPES, Call
from official import build_official, move_to
from quantization import quantize
from torch import Tensor, nn

from mmvsa.deployment import FORMATS, compile_cells, export_model
from mmvsa.deployment.formats import load_openvino
from mmvsa.models.layers import WindowTransform
from mmvsa.ops import check_backend, set_backend

# Source -> what is imported before memory is compared.
SOURCES = {
    'mmvsa': 'mmpretrain.models',
    'config': 'mmdet.testing',
    'mmpretrain': 'mmpretrain.models',
    'timm': 'timm',
    'official': 'timm',
}
FLAGS = ('channels_last', 'compile', 'cells', 'with_cp', 'int8')
# Option -> format of the file that it runs.
RUNTIMES = {'onnxruntime': 'onnx', 'openvino': 'openvino'}
TASKS = ('forward', 'backward', 'train')
OBJECTS = 8  # on every image of a detector

_SHORT = {'fp32': 'float32', 'bf16': 'bfloat16', 'fp16': 'float16'}
_OF_MMVSA = ('mmvsa', 'config')


@dataclass(frozen=True)
class Candidate:
    """A model and how it runs.

    Attributes:
        label: how it is written.
        source: a key of :data:`SOURCES`.
        name: of the model there, or the path of a config.
        dtype: a key of :data:`measure.DTYPES`; other than float32 means autocast.
        channels_last: put model and images into channels_last memory.
        compile: compile it (of a detector: the backbone) with ``torch.compile``.
        cells: compile the cells that repeat, see :func:`mmvsa.deployment.compile_cells`.
        runtime: a key of :data:`RUNTIMES`: export it and run the file there.
        int8: of a runtime: quantized by onnxruntime, on random images.
        with_cp: activation checkpointing of the blocks of the backbone.
        backend: sampling backend; the model's own choice if None.
        root: checkout of the official repository, for ``official``.
    """

    label: str
    source: str
    name: str
    dtype: str = 'float32'
    channels_last: bool = False
    compile: bool = False
    cells: bool = False
    int8: bool = False
    runtime: str | None = None
    with_cp: bool = False
    backend: str | None = None
    root: str | None = None


def parse_candidate(text: str, root: str | None = None) -> Candidate:
    """Read ``[SOURCE:]NAME[@OPTION,...]``.

    Args:
        text: what is written.
        root: checkout of the official repository.

    Raises:
        ValueError: an unknown source or option, or one that does not go with the other.
    """
    model, _, written = text.partition('@')
    source, colon, name = model.partition(':')
    if not colon:
        source, name = 'config' if model.endswith('.py') else 'mmvsa', model
    if source not in SOURCES:
        raise ValueError(f'unknown source {source!r} in {text!r}; choose one of {list(SOURCES)}')
    if source == 'official' and root is None:
        raise ValueError(f'{text!r} needs --official PATH, a checkout of ViTAE-VSA')
    options = dict(map(_read_option, filter(None, written.split(','))))
    if 'backend' in options and source not in _OF_MMVSA:
        raise ValueError(f'backend=NAME is for models of mmvsa, not for {model!r}')
    if 'cells' in options and source not in _OF_MMVSA:
        raise ValueError(f'cells is for models of mmvsa, not for {model!r}')
    _check_runtime(text, options)
    if 'with_cp' in options and source == 'official':
        raise ValueError(f'with_cp is not for {model!r}: the official code has no such option')
    return Candidate(text, source, name, root=root, **options)


def _check_runtime(text: str, options: dict[str, Any]) -> None:
    runtime, dtype = options.get('runtime'), options.get('dtype', 'float32')
    if runtime is None and 'int8' in options:
        raise ValueError(f'int8 of {text!r} needs a runtime, one of {list(RUNTIMES)}')
    if runtime is not None and {'compile', 'cells', 'channels_last', 'with_cp'} & set(options):
        raise ValueError(f'{text!r} runs a file in {runtime}, which takes no option of torch')
    known = {'onnxruntime': ('float32',), 'openvino': ('float32', 'bfloat16')}
    if runtime and dtype not in known[runtime]:
        raise ValueError(f'{runtime} does not compute in {dtype} on a CPU: {text!r}')


def _read_option(option: str) -> tuple[str, Any]:
    option = _SHORT.get(option, option)
    if option in DTYPES:
        return 'dtype', option
    if option in FLAGS:
        return option, True
    if option in RUNTIMES:
        return 'runtime', option
    if option.startswith('backend='):
        return 'backend', check_backend(option.removeprefix('backend='))
    known = [*DTYPES, *_SHORT, *FLAGS, *RUNTIMES, 'backend=NAME']
    raise ValueError(f'unknown option {option!r}; choose of {known}')


@dataclass(frozen=True)
class Workload:
    """A candidate's task on a batch of synthetic images; picklable.

    Attributes:
        candidate: the model.
        task: ``forward`` (evaluation mode, no gradients), ``backward`` (training mode, forward
            and backward of the loss) or ``train`` (that, and a step of AdamW).
        batch: number of images.
        size: (height, width) in pixels.
        device: name of the device.
        folder: where files of runtimes are; the first to build a workload writes its file.
    """

    candidate: Candidate
    task: str
    batch: int
    size: tuple[int, int]
    device: str = 'cpu'
    folder: str = '.'

    def prepare(self) -> None:
        """Import what building needs."""
        importlib.import_module(SOURCES[self.candidate.source])

    def build(self) -> Call:
        """Return what runs the task once."""
        torch.manual_seed(0)
        if self.candidate.runtime:
            return self._runtime_call()
        model = self.build_model()
        forward, loss = (
            self._detector_calls(model)
            if self.candidate.source == 'config'
            else self._classifier_calls(model)
        )
        dtype = DTYPES[self.candidate.dtype]
        autocast = functools.partial(
            torch.autocast, torch.device(self.device).type, dtype, enabled=dtype is not None
        )
        if self.task == 'forward':
            return _forward_call(model.eval(), forward, autocast)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6) if self.task == 'train' else None
        return _training_call(model.train(), loss, autocast, optimizer)

    def build_model(self) -> nn.Module:
        """Build the model on its device, with random weights; a classifier has 1000 classes."""
        candidate = self.candidate
        model = _BUILDERS[candidate.source](self)
        for module in model.modules():
            # Fresh windows of mmvsa lie on whole pixels, those of the official code do not.
            if isinstance(module, WindowTransform):
                module.regressor.reset_parameters()
        if candidate.backend:
            set_backend(model, candidate.backend)
        model = move_to(model, self.device)
        if candidate.channels_last:
            model = model.to(memory_format=torch.channels_last)
        if candidate.cells:
            compile_cells(model)
        if candidate.compile:
            compiled: Any = model.backbone if candidate.source == 'config' else model
            compiled.compile()
        return model

    def _runtime_call(self) -> Call:
        if self.task != 'forward' or self.candidate.source == 'config':
            raise ValueError('a runtime runs the forward pass of classifiers')
        images = torch.randn(self.batch, 3, *self.size).numpy()
        file = exported_file(self, images)
        if self.candidate.runtime == 'onnxruntime':
            run = FORMATS['onnx'].load(file)
        else:
            run = load_openvino(file, 'bf16' if self.candidate.dtype == 'bfloat16' else 'f32')
        return functools.partial(run, images)

    def _classifier_calls(self, model: nn.Module) -> tuple[Call, Callable[[], Tensor]]:
        images = torch.randn(self.batch, 3, *self.size, device=self.device)
        if self.candidate.channels_last:
            images = images.to(memory_format=torch.channels_last)
        labels = torch.arange(self.batch, device=self.device) % 1000

        def loss() -> Tensor:
            logits = model(images)
            logits = logits if isinstance(logits, Tensor) else logits[-1]
            return F.cross_entropy(logits.float(), labels)

        return functools.partial(model, images), loss

    def _detector_calls(self, model: Any) -> tuple[Call, Callable[[], Tensor]]:
        from mmdet.testing import demo_mm_inputs

        inputs = demo_mm_inputs(
            batch_size=self.batch,
            image_shapes=(3, *self.size),
            num_items=[OBJECTS] * self.batch,
            with_mask=True,
            device=self.device,
        )
        data = model.data_preprocessor(inputs, True)

        def loss() -> Tensor:
            return model.parse_losses(model(**data, mode='loss'))[0]

        return functools.partial(model, **data, mode='tensor'), loss


def exported_file(work: Workload, images: np.ndarray) -> Path:
    """Return the file of a runtime's workload, which is written where it is missing."""
    candidate = work.candidate
    kind = 'onnx' if candidate.int8 else RUNTIMES[candidate.runtime or '']
    stem = f'{candidate.source}-{candidate.name}-{"x".join(map(str, work.size))}'
    file = Path(work.folder, f'{stem}{FORMATS[kind].suffix}')
    if not file.exists():
        model = dataclasses.replace(work, candidate=dataclasses.replace(candidate, runtime=None))
        export_model(model.build_model(), file, format=kind, size=work.size, batch=work.batch)
    if not candidate.int8:
        return file
    quantized = file.with_name(f'{stem}-int8.onnx')
    if not quantized.exists():
        quantize(file, quantized, [images])
    return quantized


def _forward_call(model: nn.Module, forward: Call, autocast: Callable[[], Any]) -> Call:
    def call() -> None:
        with torch.no_grad(), autocast():
            forward()

    return call


def _training_call(
    model: nn.Module,
    loss: Callable[[], Tensor],
    autocast: Callable[[], Any],
    optimizer: torch.optim.Optimizer | None,
) -> Call:
    def call() -> None:
        model.zero_grad(set_to_none=True)
        with autocast():
            value = loss()
        value.backward()
        if optimizer is not None:
            optimizer.step()

    return call


def _build_mmvsa(work: Workload) -> nn.Module:
    from mmvsa import get_model

    return get_model(work.candidate.name, backbone=dict(with_cp=work.candidate.with_cp))


def _build_mmpretrain(work: Workload) -> nn.Module:
    import mmpretrain

    options = dict(backbone=dict(with_cp=True)) if work.candidate.with_cp else {}
    return mmpretrain.get_model(work.candidate.name, pretrained=False, **options)


def _build_timm(work: Workload) -> nn.Module:
    import timm

    model: Any
    try:
        model = timm.create_model(work.candidate.name, img_size=work.size)
    except TypeError:  # a convolutional network takes any size
        model = timm.create_model(work.candidate.name)
    if work.candidate.with_cp:
        model.set_grad_checkpointing()
    return model


def _build_official(work: Workload) -> nn.Module:
    height, width = work.size
    if height != width:
        raise ValueError(f'the official classifiers take squares, not images of {work.size}')
    assert work.candidate.root is not None
    return build_official(work.candidate.root, work.candidate.name, height)


def _build_detector(work: Workload) -> nn.Module:
    from mmengine.model import revert_sync_batchnorm
    from mmengine.registry import MODELS, init_default_scope

    from mmvsa.utils import load_config

    model = load_config(work.candidate.name).model
    if 'bbox_head' not in model and 'rpn_head' not in model:
        raise ValueError(f'{work.candidate.name} is no config of a detector: it has no box head')
    model.backbone.update(with_cp=work.candidate.with_cp, init_cfg=None)
    init_default_scope('mmdet')
    # One process has nobody to synchronize batch norms with, and a CPU cannot.
    return revert_sync_batchnorm(MODELS.build(model))


_BUILDERS: dict[str, Callable[[Workload], nn.Module]] = {
    'mmvsa': _build_mmvsa,
    'config': _build_detector,
    'mmpretrain': _build_mmpretrain,
    'timm': _build_timm,
    'official': _build_official,
}
