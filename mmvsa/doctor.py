"""Report what is installed, what works and how to fix what does not.

``python -m mmvsa.doctor`` prints the report and exits with status 1 if something is broken;
``--json`` prints it as JSON. Every check runs even where an earlier one failed. Where torch or
MMEngine is missing, ``mmvsa`` itself does not import: run the file, ``python mmvsa/doctor.py``.
"""

import argparse
import contextlib
import importlib
import importlib.util
import json
import platform
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

OK, WARNING, BROKEN = 'ok', 'warning', 'broken'
INSTALL = 'run bash tools/install.sh'
REBUILD = (
    f'mmcv was installed without its compiled ops, or for another torch: {INSTALL}; if nothing is '
    'to do there, pip uninstall onedl-mmcv first'
)
# Module and the distributions that may hold it: the onedl-* one and upstream's.
PACKAGES = {
    'torch': ('torch',),
    'torchvision': ('torchvision',),
    'mmengine': ('onedl-mmengine', 'mmengine'),
    'mmcv': ('onedl-mmcv', 'mmcv', 'mmcv-full'),
    'mmpretrain': ('onedl-mmpretrain', 'mmpretrain'),
    'mmdet': ('onedl-mmdetection', 'mmdet'),
    'mmseg': ('onedl-mmsegmentation', 'mmsegmentation'),
    'mmrotate': ('onedl-mmrotate', 'mmrotate'),
    'mmpose': ('mmpose',),
    'mmvsa': ('mmvsa',),
}
# Only the tasks that use them need these; the options add them to an install.
OPTIONAL = {
    'mmpretrain': '',
    'mmdet': '',
    'mmseg': '',
    'mmrotate': ' --rotate',
    'mmpose': ' --pose',
}


class Check(NamedTuple):
    """The outcome of one check; ``fix`` is empty where nothing is wrong."""

    name: str
    status: str
    detail: str
    fix: str = ''


def run_check(name: str, check: Callable[[], str], fix: str, failure: str = BROKEN) -> Check:
    """Run a function that returns what it found or raises what is wrong."""
    try:
        return Check(name, OK, check())
    except Exception as error:
        text = str(error).strip().splitlines()
        return Check(name, failure, f'{type(error).__name__}: {text[0] if text else ""}', fix)


# --------------------------------------------------------------------------------------------------
# Versions and devices


def tested_versions() -> dict[str, str]:
    """Return the versions that install.sh and the CI use, by distribution."""
    package = Path(__file__).resolve().parent
    for root in (package.parent, package / '.mim'):  # a checkout, an installed wheel
        file = root / 'tools' / 'installer' / 'constraints.txt'
        if file.is_file():
            return dict(line.split('==') for line in file.read_text().split() if '==' in line)
    return {}


def describe_package(module: str) -> str:
    """Import a package and return its version, with the tested one where that is another."""
    version = getattr(importlib.import_module(module), '__version__', 'without a version')
    for name in PACKAGES[module]:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found, tested = metadata.version(name), tested_versions().get(name)
            other = f'; mmvsa is tested with {tested}' if tested not in (None, found) else ''
            return f'{version} ({name} {found}{other})'
    return f'{version} (not installed, found on the path)'


def check_package(module: str) -> Check:
    """Check that a package imports; an optional one may be missing."""
    if module in OPTIONAL and module not in sys.modules and not importlib.util.find_spec(module):
        fix = f'{INSTALL}{OPTIONAL[module]} if you need it'
        return Check(module, WARNING, 'not installed', fix)
    return run_check(module, lambda: describe_package(module), INSTALL)


def describe_devices() -> str:
    """Return the CPU and the GPUs that torch sees."""
    import torch

    devices = [f'CPU ({torch.get_num_threads()} threads)']
    devices += [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return f'{", ".join(devices)}; torch is built for CUDA {torch.version.cuda or "no version"}'


# --------------------------------------------------------------------------------------------------
# mmcv's ops and mmvsa itself


def run_nms(device: str) -> str:
    """Run an op of mmcv's extension: two of three boxes are the same."""
    import torch
    from mmcv.ops import nms

    boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 2], [4, 4, 6, 6]], device=device)
    scores = torch.tensor([0.9, 0.8, 0.7], device=device)
    kept = nms(boxes, scores, iou_threshold=0.5)[1].tolist()
    if kept != [0, 2]:
        raise RuntimeError(f'nms keeps the boxes {kept}, not [0, 2]')
    return f'nms is right on {device}'


def check_ops() -> Iterator[Check]:
    """Run an op of mmcv on every kind of device."""
    yield run_check('mmcv ops', lambda: run_nms('cpu'), REBUILD)
    if 'torch' in sys.modules and sys.modules['torch'].cuda.is_available():
        fix = 'for detection on the GPU: FORCE_CUDA=1 bash tools/install.sh (needs nvcc)'
        yield run_check('mmcv CUDA ops', lambda: run_nms('cuda'), fix, WARNING)


def describe_backends() -> str:
    """Return which ways of sampling windows can run, and why the others cannot."""
    table = importlib.import_module('mmvsa.ops.backends').backend_table()
    return ', '.join(name if available else f'not {name} ({why})' for name, available, why in table)


def run_backbone() -> str:
    """Build a backbone from its registered name and run it."""
    import torch
    from mmengine.registry import MODELS

    importlib.import_module('mmvsa.models')
    model = MODELS.build(dict(type='mmvsa.ViTAEv2', arch='s')).eval()
    with torch.no_grad():
        maps = model(torch.zeros(1, 3, 64, 64))
    return f'mmvsa.ViTAEv2 gives {", ".join(str(tuple(m.shape[1:])) for m in maps)} of 64 x 64'


# --------------------------------------------------------------------------------------------------
# The report


def run_checks() -> list[Check]:
    """Run all checks, each whatever the others found."""
    return [
        Check('python', OK, f'{platform.python_version()} on {platform.platform()}'),
        *(check_package(module) for module in PACKAGES),
        run_check('devices', describe_devices, INSTALL),
        *check_ops(),
        run_check('backends', describe_backends, INSTALL),
        run_check('backbone', run_backbone, INSTALL),
    ]


def as_text(checks: list[Check]) -> str:
    """Format the checks, then what to do about those that failed."""
    width = max(len(check.name) for check in checks)
    marks = {OK: ' ', WARNING: '!', BROKEN: 'X'}
    lines = [f'{marks[c.status]} {c.name:<{width}}  {c.detail}' for c in checks]
    lines += ['', *(f'{c.status}: {c.name}: {c.fix}' for c in checks if c.fix)]
    broken = sum(c.status == BROKEN for c in checks)
    return '\n'.join(
        [*lines, f'{broken} of {len(checks)} checks failed' if broken else 'everything works']
    )


def main(argv: list[str] | None = None) -> int:
    """Print the report and return the exit status."""
    parser = argparse.ArgumentParser(prog='python -m mmvsa.doctor', description=__doc__)
    parser.add_argument('--json', action='store_true', help='print the report as JSON')
    args = parser.parse_args(argv)
    # Packages print while they are imported, which must not get into the report.
    with contextlib.redirect_stdout(sys.stderr):
        checks = run_checks()
    ok = all(check.status != BROKEN for check in checks)
    report = {'ok': ok, 'checks': [check._asdict() for check in checks]}
    print(json.dumps(report, indent=2) if args.json else as_text(checks))
    return int(not ok)


if __name__ == '__main__':
    if not __package__:  # run as a file, whose folder must not hide other packages
        sys.path[0] = str(Path(__file__).resolve().parents[1])
    sys.exit(main())
