# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """The names in the wheel that pip builds from a copy of the checkout."""
    folder = tmp_path_factory.mktemp('setup')
    source = folder / 'source'
    source.mkdir()
    for name in ('mmvsa', 'configs', 'tools'):
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns('.mim', '__pycache__')
            shutil.copytree(ROOT / name, source / name, ignore=ignore)
    for pattern in ('*.py', '*.toml', '*.in', '*.yml', '*.md', 'LICENSE'):
        for path in ROOT.glob(pattern):
            shutil.copyfile(path, source / path.name)
    command = [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation']
    command += ['--wheel-dir', str(folder / 'dist'), str(source)]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    (path,) = (folder / 'dist').glob('mmvsa-*.whl')
    assert not (source / 'mmvsa' / '.mim').exists()
    return path.name, zipfile.ZipFile(path).namelist()


@pytest.mark.slow
def test_wheel_carries_configs_and_tools(wheel):
    _, names = wheel
    carried = [name for name in names if name.startswith('mmvsa/.mim/configs/')]
    configs = [path for path in (ROOT / 'configs').rglob('*.py') if '__pycache__' not in str(path)]
    assert configs and len([name for name in carried if name.endswith('.py')]) == len(configs)
    assert 'mmvsa/.mim/tools/train.py' in names
    assert not any('benchmarks' in name for name in names)
    assert not any('__pycache__' in name for name in names)
    if (ROOT / 'model-index.yml').exists():
        assert 'mmvsa/.mim/model-index.yml' in names


@pytest.mark.slow
def test_wheel_holds_the_whole_package_and_nothing_else(wheel):
    _, names = wheel
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / 'mmvsa').rglob('*.py')}
    modules = {name for name in modules if '/.mim/' not in name}
    packaged = {n for n in names if n.endswith('.py') and not n.startswith('mmvsa/.mim/')}
    assert packaged == modules


@pytest.mark.slow
def test_wheel_has_the_version_of_the_package(wheel):
    name, _ = wheel
    text = (ROOT / 'mmvsa' / 'version.py').read_text()
    assert name.split('-')[1] == re.search(r"'(.+)'", text).group(1)
