"""Report what is installed, what works and how to cure what does not.

``python -m mmvsa.doctor`` prints the report and exits with status 1 if something is broken;
``--json`` prints it as JSON. Every check runs even where an earlier one failed.
"""

import argparse
import contextlib
import importlib
import json
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from typing import Any, NamedTuple

from .utils.config import OPTIONAL_HOSTS

OK, WARNING, BROKEN = 'ok', 'warning', 'broken'
INSTALL = 'run tools/install.sh'
REBUILD = (
    'mmcv was installed without its compiled ops, or for another torch: run tools/install.sh, '
    'which rebuilds it for the installed torch'
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
# Only the tasks that use them need these.
OPTIONAL = {'torchvision', 'mmpretrain', 'mmdet', 'mmseg', *OPTIONAL_HOSTS}


class Check(NamedTuple):
    """The outcome of one check; ``cure`` is empty where nothing is wrong."""

    name: str
    status: str
    detail: str
    cure: str = ''


def reason(error: BaseException) -> str:
    """An exception in one line."""
    text = str(error).strip().splitlines()
    return f'{type(error).__name__}: {text[0] if text else ""}'


# --------------------------------------------------------------------------------------------------
# Versions and devices


def check_python() -> Check:
    version = platform.python_version()
    if tuple(map(int, platform.python_version_tuple()[:2])) < (3, 10):
        return Check('python', BROKEN, version, 'use Python 3.10 or newer')
    return Check('python', OK, f'{version} on {platform.platform()}')


def distribution_of(names: Iterable[str]) -> str:
    """``name version`` of the first distribution installed, empty where there is none."""
    for name in names:
        try:
            return f'{name} {metadata.version(name)}'
        except metadata.PackageNotFoundError:
            continue
    return ''


def check_package(module: str) -> Check:
    """Whether a package imports, and its version."""
    found = distribution_of(PACKAGES[module])
    try:
        version = getattr(importlib.import_module(module), '__version__', '')
    except Exception as error:
        if not found and module in OPTIONAL:
            command = ' '.join([INSTALL, OPTIONAL_HOSTS.get(module, '')]).rstrip()
            return Check(module, WARNING, 'not installed', f'{command} if you need it')
        detail = f'{found or "not installed"}, does not import: {reason(error)}'
        return Check(module, BROKEN, detail, INSTALL)
    return Check(module, OK, f'{version} ({found or "not installed, found on the path"})')


def check_devices() -> Check:
    import torch

    detail = f'CPU ({torch.get_num_threads()} threads)'
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            detail += f', {torch.cuda.get_device_name(index)}'
        return Check('devices', OK, f'{detail}, CUDA {torch.version.cuda}')
    if torch.version.cuda is None:
        return Check('devices', OK, f'{detail}; this torch is built without CUDA')
    return Check('devices', OK, f'{detail}; torch is built for CUDA {torch.version.cuda}, no GPU')


# --------------------------------------------------------------------------------------------------
# mmcv's ops


def check_extension() -> Check:
    try:
        extension = importlib.import_module('mmcv._ext')
    except Exception as error:
        return Check('mmcv ops', BROKEN, reason(error), REBUILD)
    return Check('mmcv ops', OK, str(extension.__file__))


def run_nms() -> str:
    import torch
    from mmcv.ops import nms

    boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 2], [4, 4, 6, 6]])
    _, kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7]), iou_threshold=0.5)
    if kept.tolist() != [0, 2]:
        raise RuntimeError(f'kept boxes {kept.tolist()}, not [0, 2]')
    return 'right on a CPU tensor'


def run_roi_align() -> str:
    import torch
    from mmcv.ops import roi_align

    out = roi_align(torch.ones(1, 1, 4, 4), torch.tensor([[0.0, 0, 0, 4, 4]]), (2, 2), 1.0)
    if not torch.allclose(out, torch.ones(1, 1, 2, 2)):
        raise RuntimeError('wrong on a constant image')
    return 'right on a CPU tensor'


def run_deformable_attention() -> str:
    """mmcv's op where there is a GPU, else the torch function it stands for."""
    import torch
    from mmcv.ops.multi_scale_deform_attn import (
        MultiScaleDeformableAttnFunction,
        multi_scale_deformable_attn_pytorch,
    )

    value = torch.ones(1, 4, 1, 4)
    shapes = torch.tensor([[2, 2]])
    locations = torch.full((1, 1, 1, 1, 1, 2), 0.5)
    weights = torch.ones(1, 1, 1, 1, 1)
    twin = multi_scale_deformable_attn_pytorch(value, shapes, locations, weights)
    if not torch.allclose(twin, torch.ones(1, 1, 4)):
        raise RuntimeError('the torch function is wrong on a constant image')
    if not torch.cuda.is_available():
        return 'torch function right; the CUDA op needs a GPU'
    start = torch.tensor([0])
    tensors = [t.cuda() for t in (value, shapes, start, locations, weights)]
    out = MultiScaleDeformableAttnFunction.apply(*tensors, 1)
    if not torch.allclose(out.cpu(), twin, atol=1e-5):
        raise RuntimeError('the CUDA op differs from the torch function')
    return 'CUDA op and torch function agree'


OPS: dict[str, Callable[[], str]] = {
    'op nms': run_nms,
    'op roi_align': run_roi_align,
    'op ms_deform_attn': run_deformable_attention,
}


def check_op(name: str) -> Check:
    try:
        return Check(name, OK, OPS[name]())
    except Exception as error:
        cure = REBUILD
        # CPU-only builds name the missing device; nothing but this op and the GPU is concerned.
        if name == 'op ms_deform_attn' and 'CUDA' in str(error).upper():
            cure = 'rebuild mmcv with CUDA ops: FORCE_CUDA=1 tools/install.sh (needs nvcc)'
        return Check(name, BROKEN, reason(error), cure)


# --------------------------------------------------------------------------------------------------
# mmvsa itself


def check_backends() -> Iterator[Check]:
    """The ways of sampling windows; those that need another device are no fault."""
    try:
        table = importlib.import_module('mmvsa.ops.backends').backend_table()
    except Exception as error:
        yield Check('sampling backends', BROKEN, reason(error), 'repair the checkout of mmvsa')
        return
    for name, available, why in table:
        detail = 'available' if available else 'not available'
        yield Check(f'backend {name}', OK, f'{detail}: {why}' if why else detail)
    if not any(available for _, available, _ in table):
        yield Check('sampling backends', BROKEN, 'none is available', INSTALL)


def scoped_modules() -> dict[str, list[str]]:
    """Names of the modules of the mmvsa scope, for each registry that has any."""
    for module in ('datasets', 'engine', 'models'):
        importlib.import_module(f'mmvsa.{module}')
    from mmengine import registry as root
    from mmengine.registry import Registry

    found: dict[str, list[str]] = {}
    for registry in vars(root).values():
        if isinstance(registry, Registry) and 'mmvsa' in registry.children:
            found[registry.name] = sorted(registry.children['mmvsa'].module_dict)
    return {name: modules for name, modules in found.items() if modules}


def check_registries() -> Check:
    cure = 'reinstall mmvsa: pip install --no-deps --no-build-isolation -e .'
    try:
        scoped = scoped_modules()
        from mmengine.registry import MODELS

        backbone = MODELS.get('mmvsa.ViTAEv2')
    except Exception as error:
        return Check('registries', BROKEN, reason(error), cure)
    if backbone is None:
        return Check('registries', BROKEN, 'mmvsa.ViTAEv2 is not registered', cure)
    counts = ', '.join(f'{len(modules)} in {name}' for name, modules in sorted(scoped.items()))
    return Check('registries', OK, f'mmvsa.ViTAEv2 is registered; of scope mmvsa: {counts}')


# --------------------------------------------------------------------------------------------------
# The report


def extension_crashes() -> Check | None:
    """Import the extension in a process of its own first: a build for another ABI can abort."""
    code = 'import torch, mmcv._ext'
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    if run.returncode >= 0:
        return None
    return Check(
        'mmcv ops', BROKEN, f'importing mmcv._ext died of signal {-run.returncode}', REBUILD
    )


def guarded(name: str, check: Callable[[], Check]) -> Check:
    """A check that itself fails is a finding too."""
    try:
        return check()
    except Exception as error:
        return Check(name, BROKEN, reason(error), INSTALL)


def run_checks() -> list[Check]:
    checks = [check_python()]
    crash = extension_crashes()
    modules = [m for m in PACKAGES if crash is None or m in ('torch', 'torchvision')]
    checks += [check_package(module) for module in modules]
    checks.append(guarded('devices', check_devices))
    if crash is not None:
        return [*checks, crash]
    checks.append(check_extension())
    if checks[-1].status == OK:
        checks += [check_op(name) for name in OPS]
    checks += check_backends()
    checks.append(check_registries())
    return checks


def as_text(checks: list[Check]) -> str:
    width = max(len(check.name) for check in checks)
    marks = {OK: ' ', WARNING: '!', BROKEN: 'X'}
    lines = [f'{marks[c.status]} {c.name:<{width}}  {c.detail}' for c in checks]
    cures = [c for c in checks if c.cure]
    lines += ['', *(f'{c.status}: {c.name}: {c.cure}' for c in cures)] if cures else []
    broken = sum(c.status == BROKEN for c in checks)
    lines += ['', f'{broken} of {len(checks)} checks failed' if broken else 'everything works']
    return '\n'.join(lines)


def as_json(checks: list[Check]) -> str:
    report: dict[str, Any] = {
        'ok': all(check.status != BROKEN for check in checks),
        'checks': [check._asdict() for check in checks],
    }
    return json.dumps(report, indent=2)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog='python -m mmvsa.doctor', description=__doc__)
    parser.add_argument('--json', action='store_true', help='print the report as JSON')
    args = parser.parse_args(argv)
    # Packages print while they are imported, which must not get into the JSON.
    with contextlib.redirect_stdout(sys.stderr):
        checks = run_checks()
    print(as_json(checks) if args.json else as_text(checks))
    return int(any(check.status == BROKEN for check in checks))


if __name__ == '__main__':
    sys.exit(main())
