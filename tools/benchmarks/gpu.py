"""Measure sampled window attention and ViTAEv2-S-VSA on a GPU, the most important figures first.

Needs this checkout, torch and triton; timm adds Swin-T, mmcv its op, and mmengine and mmcv the
backbone. What is missing is named with its reason, and the rest is measured. Every figure is in the
JSON file as soon as it is there, so that nothing is lost when time runs out:

    python3 tools/benchmarks/gpu.py --out gpu.json
    TRITON_INTERPRET=1 python tools/benchmarks/gpu.py --device cpu --out walk.json  # tiny shapes

Sections: ``check`` compares the Triton kernels with float64 on the device; ``attention`` times the
attention of every stage, in eager mode and as a CUDA graph, forward and with its backward;
``model`` the forward, the training step and the memory of whole models; ``kernels`` every GPU
kernel of one attention; ``limits`` what the GPU can do at most. Times are medians.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import Tensor  # noqa: E402

from mmvsa.ops import (  # noqa: E402
    BACKENDS,
    AttentionSpec,
    WindowGeometry,
    attend,
    window_merge,
    window_partition,
)

SECTIONS = ('check', 'attention', 'model', 'kernels', 'limits')
# Stage -> (map, heads, head width) of ViTAEv2-S-VSA's normal cells at 224 x 224.
STAGES = {'1': (56, 2, 32), '2': (28, 4, 32), '3': (14, 8, 32), '4': (7, 16, 32)}
# (H, W), heads, head width, window size and dtypes that are compared with float64.
CHECKS = (
    ((14, 17), 2, 32, 7, ('bfloat16', 'float16', 'float32')),
    ((9, 8), 2, 64, 7, ('bfloat16', 'float32')),
    ((20, 33), 2, 64, 16, ('bfloat16', 'float32')),
    ((12, 12), 3, 32, 12, ('bfloat16',)),
    ((6, 7), 1, 20, 4, ('float16', 'float32')),
    ((9, 9), 1, 128, 8, ('bfloat16', 'float32')),
)
# What a CPU walks through in the interpreter.
TINY_CHECKS = (((5, 4), 1, 16, 4, ('float32',)),)
TINY_STAGES = {'1': (4, 1, 16)}
TINY_ARCH = dict(
    embed_dims=(16,) * 4,
    token_dims=(16,) * 4,
    depths=(1,) * 4,
    num_heads=(1,) * 4,
    rc_heads=(1,) * 4,
    nc_groups=(1,) * 4,
    rc_groups=(1,) * 4,
    attention=('window', 'window', 'window', 'vsa'),
    window_size=4,
)
TOLERANCE = {'float32': 2e-5, 'float16': 5e-3, 'bfloat16': 4e-2}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path, default=Path('gpu.json'), help='file of the figures')
    parser.add_argument('--device', choices=('cuda', 'cpu'), default='cuda')
    parser.add_argument('--sections', nargs='+', choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument('--batch-size', type=int, default=64)
    parser.add_argument('--budget', type=float, default=400, help='seconds; the rest is skipped')
    parser.add_argument('--official', metavar='DIR', help='checkout of ViTAE-VSA, to time it too')
    parser.add_argument('--check', metavar='NUMBER', type=int, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.device == 'cuda' and not torch.cuda.is_available():
        parser.error('torch finds no CUDA GPU; --device cpu walks through with tiny shapes')
    if args.device == 'cpu' and os.environ.get('TRITON_INTERPRET') != '1':
        parser.error('--device cpu needs TRITON_INTERPRET=1 in the environment')
    if args.device == 'cpu':
        args.batch_size = 1
    return args


class Report:
    """Figures of a run: printed, and written as JSON after each one."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.start, self.rows = args, time.monotonic(), []  # type: ignore[var-annotated]
        self.machine = describe_machine(args.device)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start

    def add(self, section: str, **figures: Any) -> None:
        """Print and keep one row of figures."""
        row = {'section': section, **{key: rounded(value) for key, value in figures.items()}}
        self.rows.append({**row, 'seconds': rounded(self.seconds)})
        print('  '.join(f'{key}={value}' for key, value in row.items()), flush=True)
        self.write()

    def write(self) -> None:
        out = self.args.out
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = out.with_name(out.name + '.part')
        record = {'machine': self.machine, 'results': self.rows}
        temporary.write_text(json.dumps(record, indent=1) + '\n')
        temporary.replace(out)

    def attempt(
        self, section: str, function: Callable[[], dict[str, Any] | None], **what: Any
    ) -> dict[str, Any]:
        """Add the figures that a function returns, or why there are none; return them."""
        figures: dict[str, Any] | None = None
        try:
            if self.seconds > self.args.budget:
                raise TimeoutError(f'the budget of {self.args.budget:.0f} s is spent')
            figures = function()
        except Exception as error:
            # One candidate that fails must not take the others' figures with it.
            text = str(error).splitlines() or ['']
            self.add(section, **what, failed=f'{type(error).__name__}: {text[0][:200]}')
        finally:
            gc.collect()
            if self.args.device == 'cuda':
                torch.cuda.empty_cache()
        if figures is not None:
            self.add(section, **what, **figures)
        return figures or {}


def rounded(value: Any) -> Any:
    return float(f'{value:.4g}') if isinstance(value, float) else value


def describe_machine(device: str) -> dict[str, Any]:
    import triton

    name = torch.cuda.get_device_name() if device == 'cuda' else 'CPU, interpreted'
    return {'device': name, 'torch': torch.__version__, 'triton': triton.__version__}


def measure(function: Callable[[], Any], device: str, milliseconds: int = 100) -> float:
    """Return the median time of a call in microseconds."""
    if device == 'cpu':
        start = time.perf_counter()
        function()
        return 1e6 * (time.perf_counter() - start)
    from triton.testing import do_bench

    return 1e3 * do_bench(function, warmup=25, rep=milliseconds, return_mode='median')


def measure_graph(function: Callable[[], Any], device: str, milliseconds: int = 100) -> float:
    """Return the median time of a replay of the call as a CUDA graph, in microseconds."""
    if device == 'cpu':
        return measure(function, device)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):  # Triton compiles and cuBLAS allocates before the capture
            function()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        function()
    return measure(graph.replay, device, milliseconds)


# Attention of one stage -----------------------------------------------------------------------


@dataclass(frozen=True)
class VariedSizeWindows:
    """Windows with an offset in pixels and a scale (arXiv 2204.08446), as backends take them.

    Attributes:
        geometry: The windows of the queries.
        theta: (B, nH, nW, heads, 4), (offset_x, offset_y, scale_x, scale_y).
    """

    geometry: WindowGeometry
    theta: Tensor
    push: float = 0.0

    @cached_property
    def points(self) -> Tensor:
        """Sampling points, (B, nH, nW, heads, ws*ws, 2), (x, y) in pixels."""
        grid = self.geometry.local_grid(self.theta.device, self.theta.dtype)
        centers = self.geometry.centers(self.theta.device, self.theta.dtype)[:, :, None, None]
        offset, scale = self.theta.unsqueeze(-2).split(2, -1)
        return centers + offset + grid * (1 + scale)

    @cached_property
    def homography(self) -> Tensor:
        """(B, nH, nW, heads, 8), see :func:`mmvsa.ops.triton_attention.attend_triton`."""
        offset_x, offset_y, scale_x, scale_y = self.theta.unbind(-1)
        zero = torch.zeros_like(offset_x)
        numbers = (1 + scale_x, zero, offset_x, zero, 1 + scale_y, offset_y, zero, zero)
        return torch.stack(numbers, -1)


class Stage:
    """An attention of a stage: its parameters, and every way to compute it.

    Args:
        size: (H, W) of the map.
        heads: Attention heads.
        head_dims: Channels of a head.
        window_size: ``ws``.
        batch_size: Images.
        device: ``'cuda'`` or ``'cpu'``.
    """

    def __init__(
        self,
        size: tuple[int, int],
        heads: int,
        head_dims: int,
        *,
        window_size: int,
        batch_size: int,
        device: str,
    ) -> None:
        generator = torch.Generator().manual_seed(0)

        def random(*shape: int, scale: float = 1.0) -> Tensor:
            tensor = scale * torch.randn(shape, generator=generator)
            return tensor.to(device).requires_grad_()

        width = heads * head_dims
        self.geometry = WindowGeometry.of(size, window_size)
        self.spec = AttentionSpec(
            num_heads=heads,
            head_dims=head_dims,
            window_size=window_size,
            scale=head_dims**-0.5,
        )
        self.x = random(batch_size, *size, width)
        self.qkv_weight = random(3 * width, width, scale=width**-0.5)
        self.proj_weight = random(width, width, scale=width**-0.5)
        # Windows of a trained model move by about a pixel and change in size by about a fifth.
        self.regressor = random(4 * heads, width, scale=width**-0.5)
        self.bias = random(heads, window_size**2, window_size**2)
        self.leaves = (self.x, self.qkv_weight, self.proj_weight, self.regressor, self.bias)

    def windows(self) -> VariedSizeWindows:
        """Predict the windows in float32, from the mean of every window."""
        with torch.autocast(self.x.device.type, enabled=False):
            theta = F.linear(F.leaky_relu(self.geometry.pool(self.x)), self.regressor)
        theta = theta.unflatten(-1, (self.spec.num_heads, 4))
        return VariedSizeWindows(self.geometry, theta)

    def backend(self, name: str) -> Tensor:
        """Attend by a backend of mmvsa."""
        chosen = next(backend for backend in BACKENDS if backend.name == name)
        reasons = chosen.reasons(self.x.device, self.spec)
        if reasons:
            raise RuntimeError('; '.join(reasons))
        qkv = F.linear(self.x, self.qkv_weight)
        qkv = qkv.unflatten(-1, (3, self.spec.num_heads, self.spec.head_dims))
        bias, windows = self.bias.unsqueeze(0), self.windows()
        out = chosen.attend(qkv, windows, spec=self.spec, bias=bias, training=True)
        return F.linear(out, self.proj_weight)

    def plain_windows(self) -> Tensor:
        """Attend inside the windows themselves: what sampling costs is the difference."""
        qkv = F.linear(self.x, self.qkv_weight)
        qkv = qkv.unflatten(-1, (3, self.spec.num_heads, self.spec.head_dims))
        q, k, v = window_partition(self.geometry.pad(qkv), self.spec.window_size)
        out = attend(q, k, v, scale=self.spec.scale, bias=self.bias.unsqueeze(0))
        out = window_merge(out, self.spec.window_size, self.geometry.grid)
        return F.linear(self.geometry.crop(out), self.proj_weight)

    def official_path(self) -> Tensor:
        """Attend by the operations of the official implementation, in their order.

        Channels first: 1 x 1 convolutions, two calls of ``grid_sample`` on maps of heads, and a
        softmax that is written out (ViTAE-VSA repository).
        """
        geometry, spec = self.geometry, self.spec
        ws, heads, d = spec.window_size, spec.num_heads, spec.head_dims
        batch, (rows, columns) = self.x.shape[0], geometry.grid
        x = geometry.pad(self.x).permute(0, 3, 1, 2).contiguous()
        height, width = x.shape[2:]
        pooled = F.leaky_relu(F.avg_pool2d(x, ws))
        weights = self.regressor.view(heads, 4, -1)
        offset, scale = (
            F.conv2d(pooled, part.reshape(heads * 2, -1, 1, 1))
            for part in (weights[:, :2], weights[:, 2:])
        )
        # Both axes of the map as (windows, ws): B*heads, 2, rows, ws, columns, ws.
        grid = geometry.local_grid(x.device, torch.float32).T.view(2, 1, ws, 1, ws)
        centers = geometry.centers(x.device, torch.float32).permute(2, 0, 1)
        centers = centers.view(2, rows, 1, columns, 1)
        offset, scale = (part.view(-1, 2, rows, 1, columns, 1) for part in (offset, scale))
        moved = centers + offset + grid * (1 + scale)
        points = moved.flatten(4).flatten(2, 3)
        # No tensor from numbers: a CUDA graph cannot capture its copy to the GPU.
        x_points, y_points = 2 * points[:, 0] / (width - 1), 2 * points[:, 1] / (height - 1)
        points = torch.stack((x_points, y_points), -1) - 1
        qkv = F.conv2d(x, self.qkv_weight[:, :, None, None])
        qkv = qkv.view(batch, 3, heads, d, height, width).transpose(0, 1)
        q, k, v = (part.reshape(batch * heads, d, height, width) for part in qkv)
        k, v = (F.grid_sample(part, points, align_corners=True) for part in (k, v))

        def split(part: Tensor) -> Tensor:
            part = part.view(batch, heads, d, rows, ws, columns, ws)
            return part.permute(0, 3, 5, 1, 4, 6, 2).reshape(-1, heads, ws * ws, d)

        q, k, v = split(q), split(k), split(v)
        scores = (q * spec.scale) @ k.transpose(-2, -1) + self.bias
        out = scores.softmax(-1) @ v
        out = out.view(batch, rows, columns, heads, ws, ws, d).permute(0, 3, 6, 1, 4, 2, 5)
        out = out.reshape(batch, heads * d, height, width)
        out = F.conv2d(out, self.proj_weight[:, :, None, None])
        return geometry.crop(out.permute(0, 2, 3, 1))


CANDIDATES: dict[str, Callable[[Stage], Tensor]] = {
    'triton': lambda stage: stage.backend('triton'),
    'official path': Stage.official_path,
    'plain windows': Stage.plain_windows,
    'mmcv': lambda stage: stage.backend('mmcv'),
    'torch': lambda stage: stage.backend('torch'),
}


def build_stages(args: argparse.Namespace) -> Iterator[tuple[str, Stage]]:
    """Build the stages that are measured, one after the other."""
    tiny = args.device == 'cpu'
    for name, (size, heads, head_dims) in (TINY_STAGES if tiny else STAGES).items():
        yield (
            name,
            Stage(
                (size, size),
                heads,
                head_dims,
                window_size=4 if tiny else 7,
                batch_size=args.batch_size,
                device=args.device,
            ),
        )


def attention(report: Report) -> None:
    """Time every stage by every candidate, and give the two ratios that matter."""
    for name, stage in build_stages(report.args):
        found = {}
        for candidate, function in CANDIDATES.items():
            time_one = partial(time_attention, stage, function, report.args.device)
            figures = report.attempt('attention', time_one, stage=name, candidate=candidate)
            if figures:
                found[candidate] = figures['both_graph_us']
        if {'triton', 'official path', 'plain windows'} <= found.keys():
            report.add(
                'attention',
                stage=name,
                official_over_triton=found['official path'] / found['triton'],
                triton_over_plain_windows=found['triton'] / found['plain windows'],
            )


def time_attention(
    stage: Stage, function: Callable[[Stage], Tensor], device: str
) -> dict[str, float]:
    """Time a candidate under bfloat16 autocast: forward, and forward with backward."""
    gradient = torch.randn_like(stage.x)

    def forward() -> Tensor:
        with torch.autocast(device, torch.bfloat16):
            return function(stage)

    def inference() -> None:
        with torch.no_grad():
            forward()

    def both() -> None:
        out = forward()
        # Plain windows have no regressor.
        torch.autograd.grad(out, stage.leaves, gradient.to(out.dtype), allow_unused=True)

    peak = peak_memory(both, device)
    return {
        'forward_us': measure(inference, device),
        'forward_graph_us': measure_graph(inference, device),
        'both_us': measure(both, device),
        'both_graph_us': measure_graph(both, device),
        'peak_mib': peak,
    }


def peak_memory(function: Callable[[], Any], device: str) -> float:
    """Return the MiB that a call allocates at most, beyond what was there before."""
    if device == 'cpu':
        function()
        return 0.0
    function()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    function()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


# Kernels against float64 -------------------------------------------------------------------------


def check(report: Report) -> None:
    """Compare the Triton kernels with float64, one process a shape so that they compile at once."""
    args = report.args
    cases = list(check_cases(args.device))
    command = [sys.executable, __file__, '--device', args.device, '--check']
    jobs = [
        subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for number in range(len(cases))
    ]
    for case, job in zip(cases, jobs, strict=True):
        report.attempt('check', partial(read_errors, job, case['dtype'], report), **case)


def read_errors(job: subprocess.Popen[bytes], dtype: str, report: Report) -> dict[str, Any]:
    """Wait for the process of a case, and compare its errors with the tolerance."""
    try:
        out, problem = job.communicate(timeout=max(5, report.args.budget - report.seconds))
    except subprocess.TimeoutExpired:
        job.kill()
        job.communicate()
        raise
    if job.returncode:
        raise RuntimeError((problem.decode().strip().splitlines() or ['no output'])[-1])
    errors = json.loads(out.decode().splitlines()[-1])
    # NaN is not below the tolerance either.
    return dict(passed=all(error <= TOLERANCE[dtype] for error in errors), errors=errors)


def check_cases(device: str) -> Iterator[dict[str, Any]]:
    for size, heads, head_dims, window_size, dtypes in TINY_CHECKS if device == 'cpu' else CHECKS:
        for dtype in dtypes:
            yield dict(
                size=size, heads=heads, head_dims=head_dims, window_size=window_size, dtype=dtype
            )


def check_errors(case: dict[str, Any], device: str) -> list[float]:
    """Return relative errors of the output and the gradients of qkv, theta and the bias."""
    stage = Stage(
        case['size'],
        case['heads'],
        case['head_dims'],
        window_size=case['window_size'],
        batch_size=1 if device == 'cpu' else 3,
        device='cpu',
    )
    dtype, spec = getattr(torch, case['dtype']), stage.spec
    shape = (*stage.x.shape[:-1], 3, spec.num_heads, spec.head_dims)
    inputs = [torch.randn(shape).to(dtype), stage.windows().theta.detach(), stage.bias.detach()]
    results = []
    gradient = torch.randn_like(stage.x)
    for name, place, kind in (('triton', device, None), ('torch', 'cpu', torch.float64)):
        leaves = [x.to(place, kind, copy=True).requires_grad_() for x in inputs]
        backend = next(backend for backend in BACKENDS if backend.name == name)
        windows = VariedSizeWindows(stage.geometry, leaves[1])
        bias = leaves[2].unsqueeze(0)
        out = backend.attend(leaves[0], windows, spec=spec, bias=bias, training=True)
        grads = torch.autograd.grad(out, leaves, gradient.to(dtype).to(out))
        results.append([x.detach().double().cpu() for x in (out, *grads)])
    pairs = zip(*results, strict=True)
    return [((a - b).abs().max() / b.abs().max()).item() for a, b in pairs]


# Whole models ---------------------------------------------------------------------------------


def model(report: Report) -> None:
    """Time the forward and the training step of ViTAEv2-S-VSA by backend, and of baselines."""
    args = report.args
    size = 64 if args.device == 'cpu' else 224
    images = torch.randn(args.batch_size, 3, size, size, device=args.device)
    for name, build in model_builders(args.device, args.official).items():
        report.attempt('model', partial(time_model, build, images, args.device), model=name)


def model_builders(
    device: str, official_checkout: str | None = None
) -> dict[str, Callable[[], torch.nn.Module]]:
    """Return what is measured, most important first."""

    def vsa(backend: str) -> torch.nn.Module:
        from mmvsa.models import ViTAEv2
        from mmvsa.ops import set_backend

        return set_backend(ViTAEv2(TINY_ARCH if device == 'cpu' else 's-vsa'), backend)

    def windows() -> torch.nn.Module:
        from mmvsa.models import ViTAEv2

        return ViTAEv2('s-window')

    def swin() -> torch.nn.Module:
        import timm

        return timm.create_model('swin_tiny_patch4_window7_224')

    def official() -> torch.nn.Module:
        from official import build_official, move_to

        assert official_checkout is not None
        return move_to(build_official(official_checkout, 'ViTAEv2_VSA_S'), device)

    builders: dict[str, Callable[[], torch.nn.Module]] = {
        'ViTAEv2-S-VSA, triton': partial(vsa, 'triton')
    }
    if official_checkout:
        builders['official ViTAEv2-S-VSA'] = official
    if device == 'cuda':
        builders |= {
            'timm Swin-T': swin,
            'ViTAEv2-S, plain windows': windows,
            'ViTAEv2-S-VSA, torch': partial(vsa, 'torch'),
            'ViTAEv2-S-VSA, mmcv': partial(vsa, 'mmcv'),
        }
    return builders


def time_model(build: Callable[[], torch.nn.Module], images: Tensor, device: str) -> dict[str, Any]:
    """Time a model under bfloat16 autocast, in milliseconds."""
    network = build().to(device)

    def forward() -> Tensor:
        with torch.autocast(device, torch.bfloat16):
            out = network(images)
        return (out[-1] if isinstance(out, (tuple, list)) else out).float().mean()

    def inference() -> None:
        with torch.no_grad():
            forward()

    def step() -> None:
        network.zero_grad(set_to_none=True)
        forward().backward()

    network.eval()
    figures: dict[str, Any] = {'forward_ms': measure(inference, device, 300) / 1e3}
    figures['forward_graph_ms'] = measure_graph(inference, device, 300) / 1e3
    figures |= count_kernels('forward', inference, device)
    network.train()
    figures['peak_mib'] = peak_memory(step, device)
    figures['step_ms'] = measure(step, device, 500) / 1e3
    return figures | count_kernels('step', step, device)


def count_kernels(name: str, function: Callable[[], Any], device: str) -> dict[str, Any]:
    """Return the number of kernels of a call, and the milliseconds that they take together."""
    found = profile(function, device)
    return {f'{name}_kernels': len(found), f'{name}_gpu_ms': sum(us for _, us in found) / 1e3}


# Single kernels, and what the GPU can do -------------------------------------------------------


def profile(function: Callable[[], Any], device: str) -> list[tuple[str, float]]:
    """Return name and microseconds of every GPU kernel of a call; of every operator on a CPU."""
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity

    cuda = device == 'cuda'
    if cuda:
        function()
        torch.cuda.synchronize()
    activity = ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU
    with torch.profiler.profile(activities=[activity]) as found:
        function()
        if cuda:
            torch.cuda.synchronize()
    kind = DeviceType.CUDA if cuda else DeviceType.CPU
    events = [event for event in found.events() if event.device_type == kind]
    return [
        (event.name, event.device_time if cuda else event.cpu_time)
        for event in events
        if not event.name.startswith('Mem')
    ]


def kernels(report: Report) -> None:
    """List the GPU kernels of one attention, forward and backward, by the time they take."""
    for name, stage in build_stages(report.args):
        report.attempt('kernels', partial(profile_stage, stage, report.args.device), stage=name)


def profile_stage(stage: Stage, device: str) -> dict[str, Any]:
    """Return the number of kernels of an attention and those that take longest."""

    def both() -> None:
        with torch.autocast(device, torch.bfloat16):
            out = CANDIDATES['triton'](stage)
        torch.autograd.grad(out, stage.leaves, torch.ones_like(out))

    found = profile(both, device)
    times = sorted(((us, kernel[:60]) for kernel, us in found), reverse=True)
    return dict(count=len(found), us=times[:14])


def limits(report: Report) -> None:
    """Measure copies, matrix products and what calls cost on the host."""
    device = report.args.device
    report.attempt('limits', partial(time_copy, device), what='copy')
    report.attempt('limits', partial(time_matmul, device), what='matmul, bfloat16')
    stage = Stage((7, 7), 1, 16, window_size=7, batch_size=1, device=device)
    for what, function in (
        ('add', lambda: stage.x + stage.x),
        ('attention, triton', lambda: stage.backend('triton')),
    ):
        report.attempt('limits', partial(time_host, function, device), what=f'host, {what}')


def time_copy(device: str) -> dict[str, float]:
    size = (1 if device == 'cpu' else 2048) * 2**20  # bytes
    source = torch.randn(size // 4, device=device)
    target = torch.empty_like(source)
    us = measure(lambda: target.copy_(source), device)
    return dict(tb_per_s=2 * size / us / 1e6)


def time_matmul(device: str) -> dict[str, float]:
    side = 64 if device == 'cpu' else 8192
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    return dict(tflops=2 * side**3 / measure(lambda: a @ b, device) / 1e6)


def time_host(function: Callable[[], Any], device: str) -> dict[str, float]:
    """Time what a call takes before the GPU has done anything."""
    repeats = 1 if device == 'cpu' else 200
    with torch.no_grad():
        function()
        start = time.perf_counter()
        for _ in range(repeats):
            function()
    return dict(us=1e6 * (time.perf_counter() - start) / repeats)


RUN = {
    'check': check,
    'attention': attention,
    'model': model,
    'kernels': kernels,
    'limits': limits,
}


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if args.check is not None:
        case = list(check_cases(args.device))[args.check]
        print(json.dumps(check_errors(case, args.device)))
        return
    report = Report(args)
    for section in args.sections:
        report.attempt(section, partial(RUN[section], report))
    print(f'wrote {args.out} after {report.seconds:.0f} s')


if __name__ == '__main__':
    main()
