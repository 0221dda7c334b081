# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
import shutil
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from mmvsa import __version__

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """The wheel that pip builds from a copy of the checkout."""
    folder = tmp_path_factory.mktemp('setup')
    source = folder / 'source'
    for name in ('mmvsa', 'configs', 'tools'):
        ignore = shutil.ignore_patterns('.mim', '__pycache__')
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    for pattern in ('*.py', '*.toml', '*.in', '*.yml', '*.md', 'LICENSE'):
        for path in ROOT.glob(pattern):
            shutil.copyfile(path, source / path.name)
    command = [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation']
    command += ['--wheel-dir', str(folder), str(source)]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert not (source / 'mmvsa' / '.mim').exists()
    (path,) = folder.glob('mmvsa-*.whl')
    return zipfile.ZipFile(path)


def test_wheel_carries_configs_tools_and_metafiles(wheel):
    names = set(wheel.namelist())
    sources = [ROOT / 'model-index.yml', *(ROOT / 'configs').rglob('*.*')]
    sources += [*(ROOT / 'tools').rglob('*.sh'), *(ROOT / 'tools').rglob('*.txt')]
    sources = [p for p in sources if not {'__pycache__', 'benchmarks'} & set(p.parts)]
    assert len(sources) > 100
    carried = {f'mmvsa/.mim/{path.relative_to(ROOT).as_posix()}' for path in sources}
    assert carried - names == set()
    assert not any('__pycache__' in name or 'benchmarks' in name for name in names)


def test_wheel_holds_the_whole_package_and_nothing_else(wheel):
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / 'mmvsa').rglob('*.py')}
    modules = {name for name in modules if '/.mim/' not in name}
    names = {name for name in wheel.namelist() if not name.startswith('mmvsa/.mim/')}
    assert {name for name in names if name.endswith('.py')} == modules
    assert {name.split('/')[0] for name in names} == {'mmvsa', f'mmvsa-{__version__}.dist-info'}


def test_metadata_names_version_requirements_and_extras(wheel):
    text = wheel.read(f'mmvsa-{__version__}.dist-info/METADATA')
    metadata = message_from_bytes(text)
    assert metadata['Version'] == __version__
    assert metadata['Requires-Python'] == '>=3.10'
    assert 'torch>=2.4' in metadata.get_all('Requires-Dist')
    extras = {'cls', 'det', 'seg', 'rotate', 'pose', 'all', 'dev'}
    assert extras <= set(metadata.get_all('Provides-Extra'))
