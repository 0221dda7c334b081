# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
import importlib
import json
import os
import shutil
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
INSTALLER = ROOT / 'tools' / 'installer'

pytestmark = pytest.mark.skipif(
    sys.platform == 'win32' or shutil.which('bash') is None, reason='needs bash'
)
sys.path.append(str(INSTALLER))
check = importlib.import_module('check')
mmcv_ops = importlib.import_module('mmcv_ops')


def write_program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('#!/bin/bash\n' + text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def install(tmp_path, *arguments, **environment):
    """Run install.sh without an active environment, writing nowhere but under ``tmp_path``."""
    inherited = {k: v for k, v in os.environ.items() if k not in ('VIRTUAL_ENV', 'CONDA_PREFIX')}
    defaults = {
        'MMVSA_CACHE': tmp_path / 'cache',
        'MMVSA_ENV': tmp_path / 'env',
        'MMVSA_MIN_FREE_GB': 0,
    }
    environment = {key: str(value) for key, value in {**defaults, **environment}.items()}
    return subprocess.run(
        ['bash', str(ROOT / 'tools' / 'install.sh'), *arguments],
        env={**inherited, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def fake_environment(folder, missing, pip='exit 0'):
    """Make an environment for which ``check.py missing`` answers as told and pip does ``pip``."""
    program = (
        f'case "$*" in *check.py*missing*) echo "{missing}" ;; *"pip install"*) {pip} ;; esac\n'
    )
    write_program(folder / 'bin' / 'python', program)
    return folder


# --------------------------------------------------------------------------------------------------
# install.sh


def test_help_names_every_option_and_variable(tmp_path):
    run = install(tmp_path, '--help')
    assert run.returncode == 0
    options = ['--rotate', '--pose', '--dev', '--quiet', '--check', '--help']
    variables = ['PYTHON', 'MMVSA_ENV', 'MMVSA_CACHE', 'FORCE_CUDA', 'MAX_JOBS']
    assert [word for word in options + variables if word not in run.stdout] == []


def test_unknown_option(tmp_path):
    run = install(tmp_path, '--no-such-option')
    assert run.returncode == 2 and '--no-such-option' in run.stderr


def test_old_python_is_refused_and_leaves_nothing(tmp_path):
    answer = '[[ "$*" == *python_version* ]] && { echo 3.8.18; exit 0; }\nexit 1\n'
    run = install(tmp_path, PYTHON=write_program(tmp_path / 'python3.8', answer))
    assert run.returncode == 1
    assert 'Python 3.8.18' in run.stderr and '3.10 or newer' in run.stderr
    assert not (tmp_path / 'env').exists()


def test_python_that_does_not_run(tmp_path):
    run = install(tmp_path, PYTHON=tmp_path / 'nowhere')
    assert run.returncode == 1 and 'does not run' in run.stderr


def test_broken_active_environment(tmp_path):
    run = install(tmp_path, MMVSA_ENV='', VIRTUAL_ENV=tmp_path / 'gone')
    assert run.returncode == 1 and 'has no bin/python' in run.stderr


def test_folder_that_is_no_environment_is_kept(tmp_path):
    (tmp_path / 'env').mkdir()
    (tmp_path / 'env' / 'thesis.txt').touch()
    run = install(tmp_path, PYTHON=sys.executable)
    assert run.returncode == 1 and 'no virtual environment' in run.stderr
    assert (tmp_path / 'env' / 'thesis.txt').exists()


def test_full_disk_is_refused_before_anything_is_made(tmp_path):
    run = install(tmp_path, PYTHON=sys.executable, MMVSA_MIN_FREE_GB=10**7)
    assert run.returncode == 1 and 'not enough disk space' in run.stderr
    assert not (tmp_path / 'env').exists()


def test_missing_compiler_is_refused(tmp_path):
    env = fake_environment(tmp_path / 'env', 'onedl-mmcv')
    # All that the script calls, but no compiler.
    programs = tmp_path / 'path'
    programs.mkdir()
    for name in ('bash', 'dirname', 'df', 'awk', 'mkdir', 'flock'):
        if shutil.which(name):
            (programs / name).symlink_to(shutil.which(name))
    run = install(tmp_path, MMVSA_ENV=env, PATH=programs, CXX='')
    assert run.returncode == 1
    assert 'no C++ compiler' in run.stderr and 'g++' in run.stderr


def test_nothing_to_do_is_quick_and_quiet(tmp_path):
    env = fake_environment(tmp_path / 'env', '')
    start = time.monotonic()
    run = install(tmp_path, '--dev', '--quiet', MMVSA_ENV=env)
    assert (run.returncode, run.stdout, run.stderr) == (0, '', '')
    assert time.monotonic() - start < 10
    assert 'nothing to do' in install(tmp_path, MMVSA_ENV=env).stdout


@pytest.mark.parametrize(
    ('output', 'message'),
    [
        ('NewConnectionError', 'could not reach its package index'),
        ('OSError: [Errno 28] No space left on device', 'the disk is full'),
        ('ERROR: No matching distribution found for torch', 'found no fitting version'),
        ('ERROR: something else', 'could not install'),
    ],
)
def test_failing_pip_is_explained_and_never_taken_for_complete(tmp_path, output, message):
    env = fake_environment(tmp_path / 'env', 'timm', pip=f"echo '{output}' >&2; exit 1")
    run = install(tmp_path, MMVSA_ENV=env)
    assert run.returncode == 1
    assert output in run.stderr and message in run.stderr.splitlines()[1]
    fake_environment(env, '')
    assert 'interrupted' in install(tmp_path, '--check', MMVSA_ENV=env).stdout


@pytest.mark.parametrize(
    ('options', 'extras'),
    [
        ([], 'all'),
        (['--rotate'], 'all rotate'),
        (['--pose'], 'all pose'),
        (['--dev'], 'all rotate pose dev'),
    ],
)
def test_check_says_what_is_missing_of_the_extras(tmp_path, options, extras):
    env = fake_environment(tmp_path / 'env', '$*')  # what is missing: the question itself
    run = install(tmp_path, '--check', *options, MMVSA_ENV=env)
    assert run.returncode == 1
    assert run.stdout.startswith('missing: ') and run.stdout.endswith(f'missing {extras}\n')


# --------------------------------------------------------------------------------------------------
# constraints.txt and check.py


def add_distribution(folder, name, version, files=('RECORD',), requires=()):
    info = folder / f'{name.replace("-", "_")}-{version}.dist-info'
    info.mkdir()
    lines = [f'Name: {name}', f'Version: {version}', *(f'Requires-Dist: {r}' for r in requires)]
    (info / 'METADATA').write_text('\n'.join(['Metadata-Version: 2.1', *lines, '']))
    for file in ('WHEEL', *files):
        (info / file).touch()
    return info


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder that is the only one with installed packages."""
    folder = tmp_path / 'site'
    folder.mkdir()
    monkeypatch.setattr(sys, 'path', [str(folder)])
    return folder


def test_constraints_and_requirements_name_the_same_packages():
    extras = ['all', 'rotate', 'pose', 'dev']
    asked = {requirement.name for requirement in check.required(extras)}
    assert set(check.pinned()) - asked == {'setuptools'}
    assert {name for name in asked if name.startswith(('onedl-', 'mm'))} <= set(check.pinned())


@pytest.mark.parametrize(
    ('name', 'version', 'stays'),
    [
        ('torch', '2.4.0+cu121', True),
        ('torch', '2.3.1', False),
        ('onedl-mmengine', '99.0', True),
        ('onedl-mmengine', '0.10.8', False),
        ('setuptools', '81.0', False),
        ('einops', '0.1', True),
    ],
)
def test_newer_versions_stay(name, version, stays):
    assert check.accepted(name, version) == stays


def test_constraints_keep_the_installed_torch(site):
    pinned = [f'{name}{pin}' for name, pin in check.pinned().items()]
    assert list(check.constraints()) == pinned
    add_distribution(site, 'torch', '2.8.0+cpu')
    kept = list(check.constraints())
    assert 'torch==2.8.0+cpu' in kept
    assert not any(line.startswith('torchvision') for line in kept)


def test_missing_packages_are_found_below_the_asked_ones(site):
    requires = ['below', 'elsewhere; sys_platform == "nowhere"', 'more; extra == "full"']
    add_distribution(site, 'thing', '1.0', requires=requires)
    assert list(check.unmet([Requirement('thing')], set())) == ['below']
    add_distribution(site, 'below', '1.0', requires=['onedl-mmcv'])
    add_distribution(site, 'onedl-mmcv', '1.0')
    found = list(check.unmet([Requirement('thing[full]')], set()))
    assert found == ['onedl-mmcv (now 1.0)', 'more']


def test_interrupted_pip_is_purged(site):
    info = add_distribution(site, 'thing', '1.0', files=())
    whole = add_distribution(site, 'other', '1.0')
    assert check.installed('thing') is None and check.installed('other') == '1.0'
    check.purge_half_written()
    assert whole.exists() and not info.exists()


def test_upstream_packages_are_refused(site):
    add_distribution(site, 'mmcv', '2.1.0')
    with pytest.raises(SystemExit, match='mmcv 2.1.0') as refusal:
        check.refuse_upstream()
    assert '--no-deps' in str(refusal.value)


@pytest.mark.parametrize(
    ('wheel', 'fault'),
    [
        ('torch2.14.1+cu130-cpython-311-cpu-x86_64', ''),
        ('torch2.14.1+cu130-cpython-311-cuda9.0-x86_64', ''),
        ('torch2.13.0-cpython-311-cpu-x86_64', 'for torch 2.14.1'),
        ('torch2.14.10-cpython-311-cpu-x86_64', 'for torch 2.14.1'),
        (None, 'compiled ops'),
        ('', ''),  # built by hand
    ],
)
def test_mmcv_is_compiled_again_where_it_must(site, monkeypatch, wheel, fault):
    monkeypatch.delenv('FORCE_CUDA', raising=False)
    add_distribution(site, 'torch', '2.14.1')
    info = add_distribution(site, 'onedl-mmcv', '2.3.6')
    (site / 'mmcv').mkdir()
    if wheel is not None:
        (site / 'mmcv' / '_ext.cpython-311.so').touch()
    url = f'file:///wheels/mmcv2.3.6-{wheel}/mmcv.whl'.replace('+', '%2B') if wheel else ''
    (info / 'direct_url.json').write_text(json.dumps({'url': url}))
    found = ''.join(check.mmcv_fault())
    assert fault in found and bool(fault) == bool(found)
    if wheel and not fault:
        monkeypatch.setenv('FORCE_CUDA', '1')
        assert bool(list(check.mmcv_fault())) == ('-cpu-' in wheel)


def test_mmvsa_is_this_checkout_with_its_links_to_configs(site, tmp_path, monkeypatch):
    monkeypatch.setattr(check, 'ROOT', tmp_path)
    configs = tmp_path / 'mmvsa' / '.mim' / 'configs'
    info = add_distribution(site, 'mmvsa', '0.1.0')
    for url, exists, faults in (
        (tmp_path.as_uri(), False, 1),
        (tmp_path.as_uri(), True, 0),
        (site.as_uri(), True, 1),
    ):
        if exists:
            configs.mkdir(parents=True, exist_ok=True)
        (info / 'direct_url.json').write_text(json.dumps({'url': url}))
        assert len(list(check.editable_fault())) == faults


# --------------------------------------------------------------------------------------------------
# mmcv_ops.py


def test_wheel_key_tells_builds_apart_and_is_a_file_name():
    keys = {mmcv_ops.wheel_key(*build) for build in [('2.14.1', ''), ('2.13', ''), ('2.13', '9.0')]}
    assert len(keys) == 3
    assert not set(mmcv_ops.wheel_key('2.14.1', '8.0;9.0+PTX')) & set('/; ')


def test_cxx_standard_follows_the_headers(tmp_path):
    (tmp_path / 'ATen').mkdir()
    assert mmcv_ops.cxx_standard(tmp_path) == 'c++17'
    for number, standard in ((201703, 'c++17'), (202002, 'c++20')):
        text = f'#if !defined(_MSC_VER) && __cplusplus < {number}L\n#error\n'
        (tmp_path / 'ATen' / 'ATen.h').write_text(text)
        assert mmcv_ops.cxx_standard(tmp_path) == standard


def test_units_hold_every_source_once_and_keep_clashing_ones_apart(tmp_path):
    folder = tmp_path / 'csrc' / 'cpu'
    folder.mkdir(parents=True)
    names = [*mmcv_ops.CLASHING, 'psamask', *(f'zz{i}' for i in range(20))]
    for name in names:
        (folder / f'{name}.cpp').write_text('x' * len(name))
    sources = [str(folder / f'{name}.cpp') for name in names]
    units = mmcv_ops.plan_units(sources)
    assert sorted(name for unit in units for name in unit) == sorted(sources)
    assert len(units) == len(mmcv_ops.CLASHING)
    for unit in units:
        stems = [Path(source).stem for source in unit]
        assert sum(stem in mmcv_ops.CLASHING for stem in stems) == 1
        assert 'psamask' not in stems[:-1]


def test_setup_of_mmcv_gets_units_and_the_standard_of_torch(tmp_path, monkeypatch):
    import torch
    from torch.utils import cpp_extension

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('FORCE_CUDA', '0')
    monkeypatch.setattr(torch.backends.mps, 'is_available', torch.backends.mps.is_available)
    monkeypatch.setattr(cpp_extension, 'CppExtension', lambda name, sources, **kw: (sources, kw))
    (tmp_path / 'op.cpp').touch()
    mmcv_ops.adapt_extensions()  # pip itself runs elsewhere than in the source
    build = dict(extra_compile_args={'cxx': ['-std=c++17']})
    assert cpp_extension.CppExtension('_ext', ['op.cpp'], **build) == (['op.cpp'], build)
    (tmp_path / 'setup.py').touch()
    mmcv_ops.adapt_extensions()
    (unit,), build = cpp_extension.CppExtension('_ext', ['op.cpp'], **build)
    assert Path(unit).read_text() == f'#include "{tmp_path / "op.cpp"}"\n'
    standard = mmcv_ops.cxx_standard(Path(torch.__file__).parent / 'include')
    assert build['extra_compile_args']['cxx'] == [f'-std={standard}', '-g0', '-O2']


def test_jobs_are_limited_by_memory(tmp_path):
    meminfo = tmp_path / 'meminfo'
    meminfo.write_text(f'MemAvailable: {1 << 20} kB\n')
    assert mmcv_ops.default_jobs(cuda=True, meminfo=meminfo) == 1
    meminfo.write_text(f'MemAvailable: {1 << 30} kB\n')
    assert mmcv_ops.default_jobs(cuda=True, meminfo=meminfo) == len(os.sched_getaffinity(0))


def test_wheel_without_ops_is_refused(tmp_path):
    wheel = tmp_path / 'mmcv.whl'
    with zipfile.ZipFile(wheel, 'w') as archive:
        archive.writestr('mmcv/__init__.py', '')
    with pytest.raises(RuntimeError, match='no compiled ops'):
        mmcv_ops.require_ops(wheel)
    with zipfile.ZipFile(wheel, 'a') as archive:
        archive.writestr('mmcv/_ext.cpython-311-x86_64-linux-gnu.so', '')
    mmcv_ops.require_ops(wheel)
