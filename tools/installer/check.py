# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
"""Say what an environment lacks of what pyproject.toml and constraints.txt ask for.

``tools/install.sh`` runs this with the interpreter of the environment. It reads the metadata of
the installed packages and imports none of them, so that a complete environment is recognized in a
fraction of a second.

    check.py missing [EXTRA ...]  print what is missing
    check.py constraints          print the constraints for pip, with what the environment keeps
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

# An environment that was just created has nothing but pip, which carries both.
try:
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet
except ImportError:
    from pip._vendor.packaging.requirements import Requirement  # type: ignore[assignment]
    from pip._vendor.packaging.specifiers import SpecifierSet  # type: ignore[assignment]
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


def lookup(name: str) -> Any:
    """Return the metadata of a package, empty if it is missing or half written."""
    try:
        dist = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return {}
    return {} if half_written(dist) else dist.metadata


def installed(name: str) -> str | None:
    return lookup(name).get('Version')


def purge_half_written() -> None:
    """Remove the metadata of half-written packages, which pip takes for installed."""
    for dist in list(metadata.distributions()):
        if half_written(dist):
            shutil.rmtree(str(dist._path))  # type: ignore[attr-defined]  # the public interface does not tell the folder


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


@functools.cache
def minimums() -> dict[str, SpecifierSet]:
    """Return which installed versions stay, by name: the pinned ones and newer ones.

    A range in pyproject.toml, such as that of torch, is wider and comes first.
    """
    pins = {name: str(pin).replace('==', '>=') for name, pin in pinned().items()}
    ranges = {r.name: str(r.specifier) for r in required() if r.specifier}
    return {name: SpecifierSet(text) for name, text in {**pins, **ranges}.items()}


def accepted(name: str, version: str) -> bool:
    return minimums().get(name, SpecifierSet()).contains(version, prereleases=True)


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
    """Yield the requirements, and theirs, that are not installed or too old."""
    for requirement in requirements:
        name = requirement.name
        if name in seen:
            continue
        seen.add(name)
        package = lookup(name)
        if not package:
            yield name
        elif not accepted(name, package['Version']):
            yield f'{name} (now {package["Version"]})'
        else:
            texts = package.get_all('Requires-Dist') or []
            nested = [Requirement(t) for t in texts if requirement.extras or 'extra ==' not in t]
            yield from unmet([r for r in nested if applies(r, requirement.extras)], seen)


def source(name: str) -> str:
    """Return the file or folder that pip installed a package from, empty for an index."""
    text = metadata.distribution(name).read_text('direct_url.json') or '{}'
    return unquote(urlparse(json.loads(text).get('url', '')).path)


def mmcv_fault() -> Iterator[str]:
    """Yield why the installed mmcv must be compiled again, if it must.

    The folder of the wheel that pip installed, which pip records, tells what it was built for. A
    build that does not come from this installer is left alone.
    """
    if installed('onedl-mmcv') is None:
        return
    folder = Path(str(metadata.distribution('onedl-mmcv').locate_file('mmcv')))
    wheel, torch = source('onedl-mmcv'), installed('torch')
    if not [*folder.glob('_ext.*.so'), *folder.glob('_ext.*.pyd')]:
        yield "onedl-mmcv's compiled ops"
    elif '-torch' in wheel and f'-torch{torch}-' not in wheel and f'-torch{torch}+' not in wheel:
        yield f"onedl-mmcv's ops for torch {torch}"
    elif os.environ.get('FORCE_CUDA') == '1' and '-cpu-' in wheel:
        yield "onedl-mmcv's CUDA ops"


def editable_fault() -> Iterator[str]:
    """Yield mmvsa unless this checkout is installed, as an editable package.

    Its ``mmvsa/.mim``, where ``mmvsa::`` configs are looked for, is ignored by git: a clean or a
    new clone in the place of an installed one has none.
    """
    found = installed('mmvsa') and os.path.realpath(source('mmvsa')) == str(ROOT)
    if not found or not (ROOT / 'mmvsa' / '.mim' / 'configs').is_dir():
        yield 'mmvsa of this checkout'


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
    command, *extras = sys.argv[1:]
    if command == 'missing':
        refuse_upstream()
        found = [unmet(required(extras), set()), mmcv_fault(), editable_fault()]
        print(*itertools.chain(*found), sep=', ')
    elif command == 'constraints':
        purge_half_written()
        print(*constraints(), sep='\n')


if __name__ == '__main__':
    main()
