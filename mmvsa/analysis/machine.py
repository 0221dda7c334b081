"""What the machine can do: its name, and its measured limits for the roofline."""

import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Limits:
    """Measured, not from a data sheet.

    Attributes:
        flops: of a large matrix product in the given dtype, operations per second.
        bytes: of a large copy, bytes read and written per second.
    """

    flops: float
    bytes: float


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def measure_limits(
    device: torch.device,
    dtype: torch.dtype,
    repeats: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> Limits:
    """Best of several large products and copies."""
    small = device.type == 'cpu'
    side, length = (2048, 1 << 26) if small else (8192, 1 << 30)
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    source = torch.ones(length // 4, device=device)
    target = torch.empty_like(source)
    product = best_time(lambda: a @ b, device, repeats, clock)
    copy = best_time(lambda: target.copy_(source), device, repeats, clock)
    return Limits(2 * side**3 / product, 2 * length / copy)


def best_time(
    function: Callable[[], object],
    device: torch.device,
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Shortest time of one call, in seconds."""
    times = []
    for _ in range(repeats + 1):  # the first one warms up
        synchronize(device)
        start = clock()
        function()
        synchronize(device)
        times.append(clock() - start)
    return min(times[1:])


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Processor, threads and versions, for the record of a measurement."""
    info: dict[str, Any] = {
        'device': device.type,
        'cpu': _cpu_name(),
        'threads': torch.get_num_threads(),
        'torch': torch.__version__,
        'python': platform.python_version(),
    }
    if device.type == 'cuda':
        properties = torch.cuda.get_device_properties(device)
        info.update(
            gpu=properties.name,
            gpu_memory_gib=round(properties.total_memory / 2**30, 1),
            cuda=torch.version.cuda,
        )
    return info


def _cpu_name() -> str:
    try:
        with open('/proc/cpuinfo') as stream:
            for line in stream:
                if line.startswith('model name'):
                    return line.split(':', 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def limits_record(limits: Limits) -> dict[str, float]:
    """``Limits`` in GFLOP/s and GB/s, for JSON."""
    return {f'g{key}_per_s': round(value / 1e9, 2) for key, value in asdict(limits).items()}
