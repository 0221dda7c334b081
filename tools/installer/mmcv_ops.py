# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
"""Build a wheel of onedl-mmcv *with* its compiled ops for the installed torch.

``pip install onedl-mmcv`` succeeds without a compiler, because pip's build isolation hides torch,
and then leaves a package without ``mmcv._ext``. This script has pip build the wheel against the
torch of the interpreter that runs it, and fails unless the extension is in the wheel.

CPU ops are built as four large translation units, which takes about a minute instead of seven:
nearly all of the ordinary build's time goes into parsing torch's headers once per source file.
CUDA ops are built the ordinary way, one nvcc process per file, where there is a GPU and an nvcc of
torch's CUDA version; FORCE_CUDA=1 or 0 decides otherwise. TORCH_CUDA_ARCH_LIST and MAX_JOBS apply.

    python tools/installer/mmcv_ops.py FOLDER

The wheel is kept in a folder of FOLDER named after what it is built for, and its path is printed.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import check

# These define functions of the same names, so that no two of them may share a translation unit.
CLASHING = ('bezier_align', 'roi_align', 'roi_align_rotated', 'rotated_feature_align')
# Defines the macros ``min`` and ``max``: must come last in its unit.
LAST = 'psamask'
MEMORY_PER_JOB = 2 << 30


# --------------------------------------------------------------------------------------------------
# What the machine and torch ask for


def cxx_standard(torch_include: Path) -> str:
    """Return the C++ standard that torch's own headers demand (C++20 since torch 2.11)."""
    header = torch_include / 'ATen' / 'ATen.h'
    text = header.read_text(errors='replace') if header.is_file() else ''
    found = re.search(r'__cplusplus\s*<\s*(\d{6})L', text)
    return 'c++20' if found and int(found.group(1)) >= 202002 else 'c++17'


def default_jobs(cuda: bool, meminfo: Path = Path('/proc/meminfo')) -> int:
    """Return how many compilers to run at once, limited by cores and by free memory."""
    linux = hasattr(os, 'sched_getaffinity')
    cores = len(os.sched_getaffinity(0)) if linux else os.cpu_count() or 1
    jobs = cores if cuda else min(cores, len(CLASHING))
    if meminfo.is_file():
        (available,) = re.findall(r'MemAvailable:\s*(\d+) kB', meminfo.read_text())
        jobs = min(jobs, int(available) * 1024 // MEMORY_PER_JOB)
    return max(1, jobs)


def nvcc_fits() -> bool:
    """Return whether there is an nvcc that torch accepts: one of its own major version."""
    import torch
    from torch.utils.cpp_extension import CUDA_HOME

    if CUDA_HOME is None or torch.version.cuda is None:
        return False
    nvcc = [str(Path(CUDA_HOME) / 'bin' / 'nvcc'), '--version']
    release = re.search(
        r'release (\d+)', subprocess.run(nvcc, capture_output=True, text=True).stdout
    )
    return release is not None and release.group(1) == torch.version.cuda.split('.')[0]


def cuda_archs() -> str:
    """Return the GPU architectures to build CUDA ops for, empty for CPU ops alone."""
    import torch

    force = os.environ.get('FORCE_CUDA', '')
    if force == '0' or (force != '1' and not (torch.cuda.is_available() and nvcc_fits())):
        return ''
    devices = range(torch.cuda.device_count())
    found = {'{}.{}'.format(*torch.cuda.get_device_capability(device)) for device in devices}
    return os.environ.get('TORCH_CUDA_ARCH_LIST') or ';'.join(sorted(found)) or 'default'


def wheel_key(torch: str, archs: str) -> str:
    """Return the name of a wheel's folder: one for each set of what the build depends on."""
    version = str(check.pinned()['onedl-mmcv']).removeprefix('==')
    device = f'cuda{archs}' if archs else 'cpu'
    parts = [f'mmcv{version}', f'torch{torch}', sys.implementation.cache_tag, device]
    return re.sub(r'[^A-Za-z0-9._+-]+', '_', '-'.join([*parts, platform.machine()]))


# --------------------------------------------------------------------------------------------------
# In the processes that run mmcv's setup.py


def plan_units(sources: list[str]) -> list[list[str]]:
    """Spread the sources over one unit per clashing file, of about the same size each."""
    clashing = [s for s in sources if '/cpu/' in s and Path(s).stem in CLASHING]
    units = [[s] for s in clashing] or [[]]
    load = [sum(map(os.path.getsize, unit)) for unit in units]
    rest = sorted(set(sources) - set(clashing), key=lambda s: (-os.path.getsize(s), s))
    for source in rest:
        lightest = load.index(min(load))
        units[lightest].append(source)
        load[lightest] += os.path.getsize(source)
    for unit in units:
        unit.sort(key=lambda s: (Path(s).stem == LAST, s))
    return units


def write_units(sources: list[str], folder: Path) -> list[str]:
    """Write the translation units that include the sources, return their paths."""
    folder.mkdir(exist_ok=True)
    units = {str(folder / f'unit_{i}.cpp'): unit for i, unit in enumerate(plan_units(sources))}
    for path, unit in units.items():
        Path(path).write_text(''.join(f'#include "{os.path.abspath(s)}"\n' for s in unit))
    return list(units)


def adapt_extensions() -> None:
    """Make torch's extension helpers follow torch's C++ standard and build CPU ops in units."""
    if not Path('setup.py').is_file():
        return  # pip itself: only its build processes run in mmcv's source
    import torch
    from torch.utils import cpp_extension

    standard = cxx_standard(Path(torch.__file__).parent / 'include')
    cuda = os.environ['FORCE_CUDA'] == '1'
    kind = 'CUDAExtension' if cuda else 'CppExtension'
    original = getattr(cpp_extension, kind)

    def extension(name: str, sources: list[str], **kwargs: Any) -> object:
        # Python's own flags ask for -g and -O3, which take four times as long.
        for flags in kwargs['extra_compile_args'].values():
            flags[:] = [*(f for f in flags if not f.startswith('-std=')), f'-std={standard}']
        kwargs['extra_compile_args']['cxx'] += ['-g0', '-O2']
        units = sorted(sources) if cuda else write_units(sources, Path('unity'))
        return original(name, units, **kwargs)

    setattr(cpp_extension, kind, extension)
    torch.backends.mps.is_available = lambda: False  # type: ignore[assignment]  # else setup.py builds for Metal


# --------------------------------------------------------------------------------------------------
# The build


def require_ops(wheel: Path) -> None:
    """Fail unless the wheel holds the compiled extension."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    if not any(re.match(r'mmcv/_ext\..*(so|pyd)$', name) for name in names):
        raise RuntimeError(f'{wheel.name} holds no compiled ops (mmcv._ext)')


def build_environment(hook: Path, archs: str) -> dict[str, str]:
    """Write the hook that adapts the build, return the environment in which pip's builds run it."""
    hook.mkdir()
    here = str(Path(__file__).resolve().parent)
    lines = ['import sys', f'sys.path.append({here!r})', 'import mmcv_ops']
    (hook / 'sitecustomize.py').write_text('\n'.join([*lines, 'mmcv_ops.adapt_extensions()\n']))
    environment = {**os.environ, 'PYTHONPATH': str(hook), 'FORCE_CUDA': str(int(bool(archs)))}
    environment.setdefault('MAX_JOBS', str(default_jobs(bool(archs))))
    # torch looks for ninja on PATH, where that of an environment that is not activated is not.
    environment['PATH'] = os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])
    if not archs:
        environment['CUDA_VISIBLE_DEVICES'] = ''  # setup.py builds for the devices it finds
    elif archs != 'default':
        environment['TORCH_CUDA_ARCH_LIST'] = archs
    return environment


def build_wheel(out: Path, archs: str) -> Path:
    """Build the wheel and move it to ``out`` in one step, so that no half a file is seen."""
    log = out / 'build.log'
    command = [sys.executable, '-m', 'pip', 'wheel', '--verbose', '--no-deps', '--no-cache-dir']
    command += ['--no-build-isolation', '--no-binary', 'onedl-mmcv', '-c', str(check.CONSTRAINTS)]
    with tempfile.TemporaryDirectory(dir=out) as temporary, log.open('w') as stream:
        environment = build_environment(Path(temporary) / 'hook', archs)
        command += ['--wheel-dir', temporary, 'onedl-mmcv']
        status = subprocess.run(command, env=environment, stdout=stream, stderr=stream).returncode
        wheels = list(Path(temporary).glob('*.whl'))
        if status or not wheels:
            lines = log.read_text(errors='replace').splitlines()
            shown = [line for line in lines if re.search(r'error\b|Killed|No space', line, re.I)]
            raise RuntimeError('\n'.join([f'the whole log is {log}; its errors:', *shown[:20]]))
        require_ops(wheels[0])
        return wheels[0].replace(out / wheels[0].name)


def main(folder: Path) -> None:
    import torch

    archs = cuda_archs()
    out = folder.resolve() / wheel_key(torch.__version__, archs)
    wheels = list(out.glob('*.whl'))
    if not wheels:
        duration = 'CUDA ops: several minutes' if archs else 'CPU ops: about a minute'
        print(f'compiling onedl-mmcv for torch {torch.__version__} ({duration})', file=sys.stderr)
        out.mkdir(parents=True, exist_ok=True)
        try:
            wheels = [build_wheel(out, archs)]
        except RuntimeError as error:
            sys.exit(f'onedl-mmcv could not be compiled: {error}')
    print(wheels[0])


if __name__ == '__main__':
    main(Path(sys.argv[1]))
