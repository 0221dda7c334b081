# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
"""Say what an environment still lacks, without importing anything heavy.

``tools/install.sh`` runs this with the interpreter of the environment before it does anything, and
so a complete environment costs a fraction of a second. It reads package metadata only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import sys
import urllib.parse
from importlib import metadata
from pathlib import Path

# What building mmcv and the editable install of mmvsa need. setuptools 77 is the first to read
# mmcv's licence field, 81 the first without pkg_resources.
BUILD_TOOLS = ('setuptools>=77', 'wheel', 'ninja', 'packaging')
# Distributions of upstream OpenMMLab: they own the same modules as the onedl-* ones.
UPSTREAM = ('mmcv', 'mmengine', 'mmdet', 'mmpretrain', 'mmsegmentation')


def numbers(version: str) -> tuple[int, ...]:
    """The release numbers of a version: ``2.14.1+cu130`` gives ``(2, 14, 1)``."""
    release = re.split(r'[^\d.]', version, maxsplit=1)[0]
    return tuple(int(part) for part in release.split('.') if part)


def installed(name: str) -> str | None:
    """The version of a distribution, None if it is missing or half written."""
    try:
        dist = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    return None if half_written(dist) else dist.version


def info_folder(dist: metadata.Distribution) -> Path | None:
    """The .dist-info folder, which the public interface does not tell."""
    return getattr(dist, '_path', None)


def half_written(dist: metadata.Distribution) -> bool:
    """Whether pip was killed while it copied the files: it writes these two records last."""
    folder = info_folder(dist)
    if folder is None or not (folder / 'WHEEL').is_file():
        return False
    return not (folder / 'RECORD').is_file() and not (folder / 'INSTALLER').is_file()


def purge_half_written() -> list[str]:
    """Remove the metadata of half-written packages, which pip itself refuses to replace."""
    purged = []
    for dist in list(metadata.distributions()):
        folder = info_folder(dist)
        if folder is not None and half_written(dist):
            shutil.rmtree(folder)
            purged.append(folder.name)
    return purged


def satisfied(requirement: str) -> bool:
    """Whether ``name`` or ``name>=version`` (the only forms used here) is met."""
    name, _, minimum = requirement.partition('>=')
    version = installed(name)
    return version is not None and numbers(version) >= numbers(minimum)


def dependencies_met(name: str) -> bool:
    """Whether the direct requirements of an installed distribution are installed too."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return False
    for text in metadata.requires(name) or []:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({'extra': ''}):
            if installed(requirement.name) is None:
                return False
    return True


# --------------------------------------------------------------------------------------------------
# torch and mmcv


def package_folder(name: str, package: str) -> Path | None:
    """The folder of an installed package, found without importing it."""
    if installed(name) is None:
        return None
    folder = Path(str(metadata.distribution(name).locate_file(package)))
    return folder if folder.is_dir() else None


def torch_build() -> tuple[str, str]:
    """The full version of the installed torch and its CUDA version, empty where there is none."""
    folder = package_folder('torch', 'torch')
    source = folder / 'version.py' if folder else None
    text = source.read_text() if source and source.is_file() else ''
    version = re.search(r"^__version__\s*=\s*['\"]([^'\"]+)", text, re.M)
    cuda = re.search(r"^cuda\b[^=]*=\s*['\"]([^'\"]+)", text, re.M)
    return version.group(1) if version else '', cuda.group(1) if cuda else ''


def mmcv_state(torch: str, cuda: bool) -> str:
    """``ready``, ``missing``, ``no-ops``, ``other-torch``, ``cpu-only`` or ``unknown-build``."""
    folder = package_folder('onedl-mmcv', 'mmcv')
    if folder is None:
        return 'missing'
    if not [*folder.glob('_ext.*.so'), *folder.glob('_ext.*.pyd')]:
        return 'no-ops'
    stamp = folder / '_build_info.py'
    if not stamp.is_file():
        return 'unknown-build'
    found = dict(re.findall(r"^(\w+) = '?([^'\n]*)'?$", stamp.read_text(), re.M))
    if found.get('TORCH') != torch:
        return 'other-torch'
    return 'cpu-only' if cuda and found.get('CUDA') != 'True' else 'ready'


def wheel_key(mmcv: str, torch: str, python: str, cuda: str, machine: str) -> str:
    """The name of the cache folder of a built wheel: one for each set of what the build depends on.

    ``cuda`` is empty for a build of CPU ops, else the GPU architectures built for.
    """
    parts = [f'mmcv{mmcv}', f'torch{torch}', python, f'cuda{cuda}' if cuda else 'cpu']
    return re.sub(r'[^A-Za-z0-9._+-]+', '_', '-'.join([*parts, machine]))


def python_tag() -> str:
    return str(sys.implementation.cache_tag)


# --------------------------------------------------------------------------------------------------
# The list of what is to do


def editable_from(root: Path) -> bool:
    """Whether mmvsa is installed as an editable package from this checkout."""
    if installed('mmvsa') is None:
        return False
    text = metadata.distribution('mmvsa').read_text('direct_url.json')
    if not text:
        return False
    info = json.loads(text)
    path = urllib.parse.unquote(urllib.parse.urlparse(info.get('url', '')).path)
    same = bool(path) and os.path.realpath(path) == os.path.realpath(root)
    return same and bool(info.get('dir_info', {}).get('editable'))


def todo(args: argparse.Namespace) -> list[str]:
    """The steps to take, each as ``step`` or ``step:why``."""
    upstream = [name for name in UPSTREAM if installed(name)]
    if upstream:
        return ['upstream:' + ','.join(f'{name}={installed(name)}' for name in upstream)]
    steps = []
    if not satisfied(f'torch>={args.torch_min}'):
        steps.append('torch')
    elif not installed('torchvision'):
        steps.append('torchvision')
    if not all(map(satisfied, BUILD_TOOLS)):
        steps.append('tools')
    state = mmcv_state(torch_build()[0], args.cuda)
    if 'torch' in steps or state == 'unknown-build':
        steps.append(f'mmcv:{state}')
    elif state != 'ready' or not satisfied(f'onedl-mmcv>={args.mmcv}'):
        steps.append(f'mmcv:{"outdated" if state == "ready" else state}')
    packages = [requirement.partition('>=')[0] for requirement in args.stack]
    if 'mmcv:missing' not in steps:
        packages.append('onedl-mmcv')
    if not all(map(satisfied, args.stack)) or not all(map(dependencies_met, packages)):
        steps.append('stack')
    for step, *requirements in args.extra:
        if not all(map(satisfied, requirements)):
            steps.append(step)
    if not editable_from(args.root):
        steps.append('mmvsa')
    return steps


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    plan = commands.add_parser('todo', help='print the steps that are to do, on one line')
    plan.add_argument('--root', type=Path, required=True)
    plan.add_argument('--torch-min', required=True)
    plan.add_argument('--mmcv', required=True)
    plan.add_argument('--stack', nargs='+', default=[])
    plan.add_argument(
        '--extra',
        nargs='+',
        action='append',
        default=[],
        metavar=('STEP', 'REQUIREMENT'),
        help='a step that is to do unless all its requirements are met',
    )
    plan.add_argument('--cuda', action='store_true')
    key = commands.add_parser('key', help="print the cache key of mmcv's wheel")
    key.add_argument('--mmcv', required=True)
    key.add_argument('--cuda', default='')
    commands.add_parser('torch', help='print the version and the CUDA version of torch')
    commands.add_parser('purge', help='remove what an interrupted pip left half written')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    if args.command == 'todo':
        print(*todo(args))
    elif args.command == 'key':
        print(wheel_key(args.mmcv, torch_build()[0], python_tag(), args.cuda, platform.machine()))
    elif args.command == 'torch':
        print(*torch_build())
    else:
        print(*purge_half_written())
    return 0


if __name__ == '__main__':
    sys.exit(main())
