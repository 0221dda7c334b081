# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
"""Build a wheel of onedl-mmcv *with* its compiled ops for the installed torch.

``pip install onedl-mmcv`` succeeds without a compiler, because pip's build isolation hides torch,
and then leaves a package without ``mmcv._ext``. This script builds the wheel against the torch of
the interpreter that runs it, and fails unless the extension is in the wheel.

CPU ops are built as four large translation units, which takes about a minute instead of seven:
nearly all of the ordinary build's time goes into parsing torch's headers once per source file.
CUDA ops are built the ordinary way, one nvcc process per file.

    python tools/installer/mmcv_ops.py --out DIR [--cuda] [--version 2.3.6]
"""

from __future__ import annotations

import argparse
import glob
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

VERSION = '2.3.6'

# These define functions of the same names, so that no two of them may share a translation unit.
CLASHING = ('bezier_align', 'roi_align', 'roi_align_rotated', 'rotated_feature_align')
# Defines the macros ``min`` and ``max``: must come last in its unit.
LAST = 'psamask'

GIB = 1 << 30
MEMORY_PER_JOB = 2 * GIB


class BuildError(RuntimeError):
    """The wheel could not be built; the message says why."""


# --------------------------------------------------------------------------------------------------
# What the machine and torch ask for


def cxx_standard(torch_include: Path) -> str:
    """The C++ standard that torch's own headers demand (C++20 since torch 2.11)."""
    header = torch_include / 'ATen' / 'ATen.h'
    text = header.read_text(errors='replace') if header.is_file() else ''
    found = re.search(r'__cplusplus\s*<\s*(\d{6})L', text)
    return 'c++20' if found and int(found.group(1)) >= 202002 else 'c++17'


def available_memory(meminfo: str = '/proc/meminfo') -> int | None:
    """Bytes of memory the build may use, None where the system does not say."""
    try:
        found = re.search(r'MemAvailable:\s*(\d+) kB', Path(meminfo).read_text())
    except OSError:
        return None
    return int(found.group(1)) * 1024 if found else None


def default_jobs(cuda: bool) -> int:
    """Compilers to run at once, limited by cores and by free memory."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    jobs = cores if cuda else min(cores, 4)
    memory = available_memory()
    if memory is not None:
        jobs = min(jobs, memory // MEMORY_PER_JOB)
    return max(1, jobs)


# --------------------------------------------------------------------------------------------------
# The unity build


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
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index, unit in enumerate(plan_units(sources)):
        path = folder / f'unit_{index}.cpp'
        path.write_text(''.join(f'#include "{os.path.abspath(s)}"\n' for s in unit))
        # Relative, as setuptools refuses absolute source paths.
        paths.append(os.path.relpath(path))
    return paths


def retarget(flags: list[str], standard: str, quick: bool) -> list[str]:
    """Replace the C++ standard in compiler flags; ``quick`` drops Python's own -g and -O3."""
    kept = [flag for flag in flags if not flag.startswith('-std=')]
    return [*kept, f'-std={standard}', *(['-g0', '-O2'] if quick else [])]


def run_setup(mode: str, setup_args: list[str]) -> None:
    """Run mmcv's ``setup.py`` of the working directory with torch's extension helpers adapted.

    Modes: ``unity`` and ``plain`` build CPU ops, ``cuda`` builds all of them.
    """
    import torch
    from torch.utils import cpp_extension

    standard = cxx_standard(Path(torch.__file__).parent / 'include')
    wanted = 'CUDAExtension' if mode == 'cuda' else 'CppExtension'
    original = getattr(cpp_extension, wanted)

    def extension(name: str, sources: list[str], **kwargs: object) -> object:
        sources = sorted(sources)
        flags = kwargs.get('extra_compile_args')
        assert isinstance(flags, dict)
        kwargs['extra_compile_args'] = {
            compiler: retarget(value, standard, quick=compiler == 'cxx')
            for compiler, value in flags.items()
        }
        if mode == 'unity':
            sources = write_units(sources, Path('unity'))
        return original(name, sources, **kwargs)

    setattr(cpp_extension, wanted, extension)
    if mode == 'cuda':
        os.environ['FORCE_CUDA'] = '1'
    else:
        # setup.py asks torch for devices to choose what to build; the answer is given here.
        os.environ.pop('FORCE_CUDA', None)
        torch.cuda.is_available = lambda: False  # type: ignore
        if hasattr(torch.backends, 'mps'):
            torch.backends.mps.is_available = lambda: False
    sys.argv = ['setup.py', *setup_args]
    sys.path.insert(0, os.getcwd())
    runpy.run_path('setup.py', run_name='__main__')


# --------------------------------------------------------------------------------------------------
# Fetch, build, check


def fetch_source(version: str, folder: Path, archive: Path | None) -> Path:
    """Unpack the source distribution, downloaded unless given, and return its root."""
    if archive is None:
        archive = download_source(version, folder)
    with tarfile.open(archive) as opened:
        if hasattr(tarfile, 'data_filter'):
            opened.extractall(folder, filter='data')
        else:
            opened.extractall(folder)
    return folder / archive.name[: -len('.tar.gz')]


def download_source(version: str, folder: Path) -> Path:
    command = [sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps']
    command += ['--no-build-isolation', '--no-binary', 'onedl-mmcv', '--dest', str(folder)]
    if subprocess.run([*command, f'onedl-mmcv=={version}']).returncode:
        raise BuildError(f'pip could not download the source of onedl-mmcv {version}')
    archives = glob.glob(str(folder / 'onedl_mmcv-*.tar.gz'))
    if not archives:
        raise BuildError(f'pip gave no source archive of onedl-mmcv {version}')
    return Path(archives[0])


def require_ops(wheel: Path) -> None:
    """Fail unless the wheel holds the compiled extension."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    if not any(re.match(r'mmcv/_ext\..*(so|pyd)$', name) for name in names):
        raise BuildError(f'{wheel.name} holds no compiled ops (mmcv._ext)')


def write_stamp(source: Path, cuda: bool) -> None:
    """Put into the package what it is built for: a later install reads it to see if it still fits.

    A module, so that the wheel carries it and an uninstall removes it.
    """
    code = 'import torch; print(torch.__version__)'
    torch = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    if torch.returncode:
        raise BuildError(f'torch does not import:\n{torch.stderr[-2000:]}')
    text = f"TORCH = '{torch.stdout.strip()}'\nCUDA = {cuda}\n"
    (source / 'mmcv' / '_build_info.py').write_text(text)


def run_to_end(command: list[str], **kwargs: Any) -> int:
    """Run a command and return its status; when interrupted, stop its compilers with it."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        **kwargs,
    )
    try:
        return process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


def build_once(source: Path, mode: str, jobs: int) -> Path:
    """Build the wheel in ``source`` in one mode, return its path."""
    for name in ('build', 'dist', 'unity'):
        shutil.rmtree(source / name, ignore_errors=True)
    # torch looks for ninja on PATH, where that of an environment that is not activated is not.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get('PATH', '')])
    environment = {**os.environ, 'MAX_JOBS': str(jobs), 'PATH': path}
    command = [sys.executable, str(Path(__file__).resolve()), '--run-setup', mode, 'bdist_wheel']
    log = source / f'build_{mode}.log'
    with log.open('w') as stream:
        status = run_to_end(command, cwd=source, env=environment, stdout=stream)
    wheels = list((source / 'dist').glob('*.whl'))
    if status or not wheels:
        lines = log.read_text(errors='replace').splitlines()
        errors = [line for line in lines if re.search(r'\berror\b|Killed|No space', line)]
        shown = '\n'.join([*errors[:20], '...', *lines[-15:]])
        raise BuildError(f'the {mode} build of mmcv failed:\n{shown}')
    require_ops(wheels[0])
    return wheels[0]


def build_wheel(args: argparse.Namespace) -> Path:
    """Build the wheel and move it into ``--out`` in one step, so that no half a file is seen."""
    out = args.out
    out.mkdir(parents=True, exist_ok=True)
    jobs = args.jobs or int(os.environ.get('MAX_JOBS') or default_jobs(args.cuda))
    modes = ['cuda'] if args.cuda else ['plain'] if args.no_unity else ['unity', 'plain']
    with tempfile.TemporaryDirectory(prefix='mmvsa-mmcv-') as temporary:
        print(f'fetching the source of onedl-mmcv {args.version}', flush=True)
        source = fetch_source(args.version, Path(temporary), args.source)
        write_stamp(source, args.cuda)
        for mode in modes:
            print(f'{mode} build, compilers at once: {jobs}', flush=True)
            try:
                wheel = build_once(source, mode, jobs)
                break
            except BuildError as error:
                if mode == modes[-1]:
                    raise
                print(f'{error}\nTrying the ordinary build, which takes several minutes ...')
        partial = out / f'.{wheel.name}.{os.getpid()}.part'
        try:
            shutil.copyfile(wheel, partial)
            return partial.replace(out / wheel.name)
        finally:
            partial.unlink(missing_ok=True)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Build a wheel of onedl-mmcv with compiled ops for the installed torch.'
    )
    parser.add_argument('--out', type=Path, default=Path('.'), help='folder for the wheel')
    parser.add_argument('--version', default=VERSION, help=f'of onedl-mmcv (default: {VERSION})')
    parser.add_argument('--source', type=Path, help="mmcv's .tar.gz, not to download it")
    parser.add_argument('--cuda', action='store_true', help='build the CUDA ops as well')
    parser.add_argument('--no-unity', action='store_true', help='one compiler run per source file')
    parser.add_argument('--jobs', type=int, help='parallel compilers (default: MAX_JOBS, or cores)')
    return parser.parse_args()


def main() -> int:
    if sys.argv[1:2] == ['--run-setup']:
        run_setup(sys.argv[2], sys.argv[3:])
        return 0
    # Unwind on SIGTERM too, so that the temporary folder and the compilers go.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        print(build_wheel(parse_args()))
    except BuildError as error:
        print(f'mmcv_ops: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
