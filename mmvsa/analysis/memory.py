"""Peak memory of a computation: the allocator's on a GPU, a child process's on a CPU."""

import contextlib
import multiprocessing
import os
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

# Builds in the child what is then called; must be importable, as must its arguments be.
Factory = Callable[..., Callable[[], object]]
Prepare = Callable[..., object]

# glibc keeps freed blocks of up to 32 MiB and puts later ones between them: what a process holds is
# then up to twice what its tensors need, by the order in which they come and go. With these its
# blocks go back to the system when they are freed, as to a GPU's allocator. Other C libraries
# ignore them.
RETURN_FREED = {'MALLOC_MMAP_THRESHOLD_': '65536', 'MALLOC_TRIM_THRESHOLD_': '65536'}


@dataclass(frozen=True)
class PeakMemory:
    """MiB.

    Attributes:
        total: peak of the process (CPU) or of the allocator (GPU).
        added: how far the peak lies above what was held before the model was built.
    """

    total: float
    added: float


def peak_memory(
    device: torch.device,
    factory: Factory,
    args: tuple[Any, ...] = (),
    prepare: Prepare | None = None,
    calls: int = 2,
) -> PeakMemory:
    """Peak memory of building something and calling it.

    On a CPU a fresh process does it: the resident set of this one holds what others left. It gives
    freed blocks back (:data:`RETURN_FREED`) unless the environment has other values for these.

    Args:
        factory: ``factory(*args)`` gives what is then called.
        prepare: ``prepare(*args)`` comes first and does not count; for imports.
        calls: how often it is called.
    """
    if device.type == 'cuda':
        return _cuda_peak(device, factory, args, calls)
    context = multiprocessing.get_context('spawn')
    receiver, sender = context.Pipe(duplex=False)
    work = (sender, torch.get_num_threads(), factory, prepare, args, calls)
    child = context.Process(target=_measure_in_child, args=work)
    with _environment(RETURN_FREED):
        child.start()
    sender.close()
    try:
        before, peak = receiver.recv()
    except EOFError:
        child.join()
        raise RuntimeError(
            f'the process that measures memory ended with status {child.exitcode}'
        ) from None
    child.join()
    return PeakMemory(peak, peak - before)


@contextlib.contextmanager
def _environment(defaults: dict[str, str]) -> Iterator[None]:
    """Environment variables for processes started in the ``with`` block, where they are unset."""
    added = {name: value for name, value in defaults.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def _measure_in_child(
    sender: Any,
    threads: int,
    factory: Factory,
    prepare: Prepare | None,
    args: tuple[Any, ...],
    calls: int,
) -> None:
    torch.set_num_threads(threads)
    if prepare is not None:
        prepare(*args)
    before = resident_mib('VmRSS')
    call = factory(*args)
    for _ in range(calls):
        call()
    sender.send((before, resident_mib('VmHWM')))


def resident_mib(key: str = 'VmRSS') -> float:
    """Resident set of this process (``VmRSS``) or its peak (``VmHWM``), in MiB."""
    try:
        with open('/proc/self/status') as stream:
            for line in stream:
                if line.startswith(key):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    # Elsewhere than on Linux. There ru_maxrss would start at the parent's peak.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _cuda_peak(
    device: torch.device, factory: Factory, args: tuple[Any, ...], calls: int
) -> PeakMemory:
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    call = factory(*args)
    for _ in range(calls):
        call()
    torch.cuda.synchronize(device)
    peak = torch.cuda.max_memory_allocated(device)
    return PeakMemory(peak / 2**20, (peak - before) / 2**20)
