# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
"""Say what an environment lacks of what pyproject.toml and constraints.txt ask for.

``tools/install.sh`` runs this with the interpreter of the environment. It reads the metadata of
the installed packages and imports none of them, so that a complete environment is recognized in a
fraction of a second.

    python tools/installer/check.py missing [EXTRA ...]
    python tools/installer/check.py constraints
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlparse

# An environment that was just created has nothing but pip, which carries both.
try:
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet
except ImportError:
    from pip._vendor.packaging.requirements import Requirement
    from pip._vendor.packaging.specifiers import SpecifierSet
try:
    import tomllib
except ImportError:  # Python 3.10
    from pip._vendor import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = Path(__file__).with_name('constraints.txt')
# Distributions of upstream OpenMMLab: they own the same modules as the onedl-* ones.
UPSTREAM = ('mmcv', 'mmcv-full', 'mmengine', 'mmdet', 'mmpretrain', 'mmsegmentation')


def half_written(dist: metadata.Distribution) -> bool:
    """Return whether pip was killed while it copied the files: it writes these records last."""
    written = {name: dist.read_text(name) is not None for name in ('WHEEL', 'INSTALLER', 'RECORD')}
    return written['WHEEL'] and not written['INSTALLER'] and not written['RECORD']


def installed(name: str) -> str | None:
    """Return the version of a distribution, None if it is missing or half written."""
    try:
        dist = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    return None if half_written(dist) else dist.version


def purge_half_written() -> None:
    """Remove the metadata of half-written packages, which pip takes for installed."""
    for dist in list(metadata.distributions()):
        if half_written(dist):
            shutil.rmtree(str(dist._path))  # the public interface does not tell the folder


# --------------------------------------------------------------------------------------------------
# What is asked for


def pinned() -> dict[str, SpecifierSet]:
    """Return the constraints by name."""
    lines = [line for line in CONSTRAINTS.read_text().splitlines() if line and line[0] != '#']
    return {pin.name: pin.specifier for pin in map(Requirement, lines)}


def required(extras: Iterable[str] = ()) -> list[Requirement]:
    """Return what pyproject.toml requires, with those of the extras."""
    project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
    groups = [project['dependencies'], *(project['optional-dependencies'][e] for e in extras)]
    found = [Requirement(text) for group in groups for text in group]
    own = [requirement for requirement in found if requirement.name == 'mmvsa']
    found = [requirement for requirement in found if requirement.name != 'mmvsa']
    return found + [nested for requirement in own for nested in required(requirement.extras)]


def accepted(name: str, version: str) -> bool:
    """Return whether an installed version stays: the pinned one or a newer one.

    A range in pyproject.toml, such as that of torch, is wider and comes first.
    """
    wanted = next((r.specifier for r in required() if r.name == name and r.specifier), None)
    wanted = wanted or SpecifierSet(str(pinned().get(name, '')).replace('==', '>='))
    return wanted.contains(version, prereleases=True)


def constraints() -> Iterator[str]:
    """Yield the constraints with the versions that stay, so that pip keeps them."""
    torch = installed('torch')
    for name, pin in pinned().items():
        version = installed(name)
        if version and accepted(name, version):
            yield f'{name}=={version}'
        elif not (name == 'torchvision' and torch and accepted('torch', torch)):
            yield f'{name}{pin}'  # but pip finds the torchvision of a torch that stays


# --------------------------------------------------------------------------------------------------
# What is missing


def applies(requirement: Requirement, extras: Iterable[str]) -> bool:
    """Return whether a package with these extras has the requirement on this machine."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({'extra': extra}) for extra in ['', *extras])


def unmet(requirements: Iterable[Requirement], seen: set[str]) -> Iterator[str]:
    """Yield the requirements that are not installed, and theirs."""
    for requirement in requirements:
        if requirement.name in seen:
            continue
        seen.add(requirement.name)
        if installed(requirement.name) is None:
            yield requirement.name
            continue
        nested = map(Requirement, metadata.requires(requirement.name) or [])
        yield from unmet([r for r in nested if applies(r, requirement.extras)], seen)


def outdated(requirements: Iterable[Requirement]) -> Iterator[str]:
    """Yield the installed requirements that are too old."""
    for name in sorted({requirement.name for requirement in requirements}):
        version = installed(name)
        if version and not accepted(name, version):
            yield f'{name} (now {version})'


def mmcv_fault() -> Iterator[str]:
    """Yield why the installed mmcv must be compiled again, if it must.

    The folder of the wheel that pip installed, which pip records, tells what it was built for. A
    build that does not come from this installer is left alone.
    """
    if installed('onedl-mmcv') is None:
        return
    dist = metadata.distribution('onedl-mmcv')
    folder = Path(str(dist.locate_file('mmcv')))
    url = unquote(json.loads(dist.read_text('direct_url.json') or '{}').get('url', ''))
    torch = installed('torch')
    if not [*folder.glob('_ext.*.so'), *folder.glob('_ext.*.pyd')]:
        yield "onedl-mmcv's compiled ops"
    elif '-torch' in url and f'-torch{torch}-' not in url and f'-torch{torch}+' not in url:
        yield f"onedl-mmcv's ops for torch {torch}"
    elif os.environ.get('FORCE_CUDA') == '1' and '-cpu-' in url:
        yield "onedl-mmcv's CUDA ops"


def editable_fault() -> Iterator[str]:
    """Yield mmvsa unless this checkout is installed, as an editable package."""
    text = metadata.distribution('mmvsa').read_text('direct_url.json') if installed('mmvsa') else ''
    url = urlparse(json.loads(text or '{}').get('url', ''))
    if not url.path or os.path.realpath(unquote(url.path)) != str(ROOT):
        yield 'mmvsa of this checkout'


def missing(extras: list[str]) -> list[str]:
    """Return what is to install, in words."""
    wanted = required(extras)
    return [*unmet(wanted, set()), *outdated(wanted), *mmcv_fault(), *editable_fault()]


def refuse_upstream() -> None:
    found = ', '.join(f'{name} {installed(name)}' for name in UPSTREAM if installed(name))
    if found:
        sys.exit(
            f'install.sh: the environment holds packages of upstream OpenMMLab: {found}\n'
            '  They own the modules of the onedl-* ones. Either keep them and add only mmvsa:\n'
            '    pip install --no-deps --no-build-isolation -e .\n'
            '  or use another environment: MMVSA_ENV=.venv tools/install.sh'
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest='command', required=True)
    commands.add_parser('missing', help='print what is missing').add_argument('extras', nargs='*')
    commands.add_parser('constraints', help='print the constraints for pip')
    args = parser.parse_args()
    if args.command == 'missing':
        refuse_upstream()
        print(', '.join(missing(args.extras)))
    else:
        purge_half_written()
        print('\n'.join(constraints()))


if __name__ == '__main__':
    main()
