"""Count the operators that a model launches on a GPU, without a GPU.

The model runs on tensors without storage (PyTorch's FakeTensor), and every operator that is
dispatched and computes something counts as one kernel; operators that are known to launch more
count as many. So the figures are comparable, and a change that adds copies or casts shows; a GPU's
profiler may differ by a few percent (``tools/benchmarks/gpu.py`` counts with it):

    python tools/benchmarks/launches.py vitaev2-s-vsa --backend triton --top 15

``forward`` is inference under CUDA's bfloat16 autocast, which casts every weight in every call;
``--bfloat16`` counts a model with bfloat16 weights instead. ``step`` is a forward and a backward
under the CPU's autocast: PyTorch's autograd cannot run on CUDA tensors without a GPU. The optimizer
is not counted.
"""

import argparse
from collections import Counter
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from mmvsa.ops import triton_attention

# Operators that allocate or rename and compute nothing, and are not views.
FREE = {
    'aten::empty',
    'aten::empty_like',
    'aten::empty_strided',
    'aten::new_empty',
    'aten::new_empty_strided',
    'aten::_unsafe_view',
    'aten::lift_fresh',
    'aten::promote_types',
}
# Operators of more than one kernel; the Triton operators with the preparation of their bias.
KERNELS = {
    'aten::convolution_backward': 2,
    'aten::native_layer_norm_backward': 2,
    'mmvsa::varied_attention': 3,
    'mmvsa::varied_attention_backward': 6,
    'mmvsa::sample_windows_backward': 4,
}


class LaunchCounter(TorchDispatchMode):
    """Counts kernels by operator."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels: Counter[str] = Counter()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        name = function._schema.name
        if name not in FREE and not function.is_view and not name.startswith('prim::'):
            self.kernels[name] += KERNELS.get(name, 1)
        return function(*args, **(kwargs or {}))


def count_launches(
    build: Callable[[], nn.Module],
    *,
    batch_size: int = 64,
    size: int = 224,
    step: bool = False,
    autocast: bool = True,
) -> Counter[str]:
    """Count the kernels of a forward pass, or of a forward and a backward.

    Args:
        build: Builds the model.
        batch_size: Images.
        size: Height and width of the images.
        step: Count a training step without the optimizer.
        autocast: Run float32 weights under bfloat16 autocast rather than bfloat16 weights.

    Returns:
        Operator -> kernels.
    """
    device = 'cpu' if step else 'cuda'
    enabled, dtype = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
    model = build().train(step)
    kind = torch.float32 if autocast else torch.bfloat16
    with FakeTensorMode():

        def without_storage(t: torch.Tensor) -> torch.Tensor:
            dtype = kind if t.is_floating_point() else t.dtype
            return torch.empty(t.shape, dtype=dtype, device=device)

        model._apply(without_storage)
        images = torch.empty(batch_size, 3, size, size, device=device, dtype=kind)
        try:
            # `torch.autocast` refuses CUDA without a GPU.
            torch.set_autocast_dtype(device, torch.bfloat16)
            torch.set_autocast_enabled(device, autocast)
            # Without storage no kernel is run, so that the Triton backend may have a CPU's tensors.
            interpreter = mock.patch.object(triton_attention, '_INTERPRET', True)
            with interpreter, LaunchCounter() as counter, torch.set_grad_enabled(step):
                out = model(images)
                if step:
                    torch.set_autocast_enabled(device, False)
                    last = out[-1] if isinstance(out, (tuple, list)) else out
                    last.float().mean().backward()
        finally:
            torch.set_autocast_enabled(device, enabled)
            torch.set_autocast_dtype(device, dtype)
            torch.clear_autocast_cache()
    return counter.kernels


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', help='name of an architecture, or timm:NAME')
    parser.add_argument('--backend', default='triton', help='of sampled window attention')
    parser.add_argument('--batch-size', type=int, default=64)
    parser.add_argument('--size', type=int, default=224)
    parser.add_argument(
        '--bfloat16', action='store_true', help='bfloat16 weights rather than autocast'
    )
    parser.add_argument('--top', type=int, default=0, help='list the operators of most kernels')
    return parser.parse_args(argv)


def build_model(name: str, backend: str) -> nn.Module:
    """Build a backbone of mmvsa by its name, or a model of timm."""
    if name.startswith('timm:'):
        import timm

        return timm.create_model(name.removeprefix('timm:'))
    from mmvsa.models.backbones.vitaev2 import ViTAEv2
    from mmvsa.ops import set_backend

    return set_backend(ViTAEv2(name.removeprefix('vitaev2-')), backend)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    for task in ('forward', 'step'):
        kernels = count_launches(
            lambda: build_model(args.model, args.backend),
            batch_size=args.batch_size,
            size=args.size,
            step=task == 'step',
            autocast=not args.bfloat16,
        )
        print(f'{task}: {kernels.total()} kernels')
        for name, count in kernels.most_common(args.top):
            print(f'  {count:5d} {name}')


if __name__ == '__main__':
    main()
