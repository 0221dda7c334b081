# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools'
CHECK = TOOLS / 'installer' / 'check.py'

pytestmark = pytest.mark.skipif(
    sys.platform == 'win32' or shutil.which('bash') is None, reason='needs bash'
)


def load(name):
    path = TOOLS / 'installer' / f'{name}.py'
    spec = importlib.util.spec_from_file_location(f'installer_{name}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check = load('check')
mmcv_ops = load('mmcv_ops')


def write_program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('#!/bin/bash\n' + text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def install(tmp_path, *arguments, **environment):
    """Run install.sh without an active environment, writing nowhere but under ``tmp_path``."""
    inherited = {k: v for k, v in os.environ.items() if k not in ('VIRTUAL_ENV', 'CONDA_PREFIX')}
    defaults = {'MMVSA_CACHE': str(tmp_path / 'cache'), 'MMVSA_ENV': str(tmp_path / 'env')}
    environment = {k: str(v) for k, v in environment.items()}
    return subprocess.run(
        ['bash', str(TOOLS / 'install.sh'), *arguments],
        env={**inherited, **defaults, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def fake_environment(folder, todo):
    """An environment whose python runs, and for which ``check.py todo`` answers as told."""
    answers = f'case "$2" in todo) echo "{todo}" ;; torch) echo 2.14.1+cpu ;; esac\n'
    write_program(folder / 'bin' / 'python', f'[[ "$1" == *check.py ]] || exit 0\n{answers}')
    (folder / 'pyvenv.cfg').touch()
    return folder


# --------------------------------------------------------------------------------------------------
# install.sh


def test_help_names_every_option(tmp_path):
    run = install(tmp_path, '--help')
    assert run.returncode == 0
    for word in (
        '--rotate',
        '--pose',
        '--dev',
        '--quiet',
        '--check',
        'PYTHON',
        'MMVSA_CACHE',
        'FORCE_CUDA',
        'MAX_JOBS',
    ):
        assert word in run.stdout


def test_unknown_option(tmp_path):
    run = install(tmp_path, '--no-such-option')
    assert run.returncode == 2 and '--no-such-option' in run.stderr


def test_old_python_is_refused_and_leaves_nothing(tmp_path):
    python = write_program(
        tmp_path / 'python3.8',
        '[[ "$*" == *python_version* ]] && { echo 3.8.18; exit 0; }\nexit 1\n',
    )
    run = install(tmp_path, PYTHON=python)
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
    run = install(tmp_path, PYTHON=sys.executable, MMVSA_MIN_FREE_GB=0)
    assert run.returncode == 1 and 'no virtual environment' in run.stderr
    assert (tmp_path / 'env' / 'thesis.txt').exists()


def test_full_disk_is_refused_before_anything_is_made(tmp_path):
    run = install(tmp_path, PYTHON=sys.executable, MMVSA_MIN_FREE_GB=10**7)
    assert run.returncode == 1 and 'not enough disk space' in run.stderr
    assert not (tmp_path / 'env').exists()


def test_missing_compiler_is_refused(tmp_path):
    env = fake_environment(tmp_path / 'env', 'mmcv:missing')
    # All that the script calls, but no compiler.
    programs = tmp_path / 'path'
    programs.mkdir()
    for name in ('bash', 'dirname', 'df', 'awk', 'mkdir', 'rm', 'tail', 'id', 'sed', 'flock'):
        if shutil.which(name):
            (programs / name).symlink_to(shutil.which(name))
    run = install(tmp_path, MMVSA_ENV=env, PATH=programs, CXX='', MMVSA_MIN_FREE_GB=0)
    assert run.returncode == 1
    assert 'no C++ compiler' in run.stderr and 'g++' in run.stderr


def test_upstream_packages_are_refused(tmp_path):
    env = fake_environment(tmp_path / 'env', 'upstream:mmcv=2.1.0,mmdet=3.3.0')
    run = install(tmp_path, MMVSA_ENV=env)
    assert run.returncode == 1
    assert 'mmcv=2.1.0,mmdet=3.3.0' in run.stderr and '--no-deps' in run.stderr


def test_nothing_to_do_is_quick_and_quiet(tmp_path):
    env = fake_environment(tmp_path / 'env', '')
    start = time.monotonic()
    run = install(tmp_path, '--dev', '--quiet', MMVSA_ENV=env)
    assert (run.returncode, run.stdout, run.stderr) == (0, '', '')
    assert time.monotonic() - start < 10
    assert 'nothing to do' in install(tmp_path, MMVSA_ENV=env).stdout


def test_failing_step_is_reported_with_its_log(tmp_path):
    env = fake_environment(tmp_path / 'env', 'stack')
    python = env / 'bin' / 'python'
    python.write_text(
        python.read_text().replace(
            'exit 0', '{ [[ "$*" == *"pip install"* ]] || exit 0; echo ConnectionError; exit 1; }'
        )
    )
    run = install(tmp_path, MMVSA_ENV=env, MMVSA_MIN_FREE_GB=0)
    assert run.returncode == 1
    assert 'could not reach its package index' in run.stderr


@pytest.mark.parametrize(
    ('options', 'extras'),
    [
        ([], []),
        (['--rotate'], ['rotate']),
        (['--pose'], ['pose']),
        (['--dev'], 'rotate pose dev'.split()),
    ],
)
def test_options_add_packages(tmp_path, options, extras):
    env = fake_environment(tmp_path / 'env', '$*')  # what is to do: the question itself
    run = install(tmp_path, '--check', *options, MMVSA_ENV=env)
    asked = [words.split() for words in run.stdout.split('--extra ')[1:]]
    assert [words[0] for words in asked] == extras
    packages = dict(rotate='onedl-mmrotate>=', pose='mmpose>=', dev='pytest')
    for step, *requirements in asked:
        assert any(word.startswith(packages[step]) for word in requirements)


def test_check_says_what_is_missing(tmp_path):
    env = fake_environment(tmp_path / 'env', 'dev mmvsa')
    run = install(tmp_path, '--check', MMVSA_ENV=env)
    assert run.returncode == 1 and 'dev mmvsa' in run.stdout


# --------------------------------------------------------------------------------------------------
# check.py


def test_wheel_key_tells_every_build_apart():
    base = dict(mmcv='2.3.6', torch='2.14.1', python='cpython-311', cuda='', machine='x86_64')
    changes = dict(mmcv='2.3.7', torch='2.14.1+cpu', python='cpython-312', cuda='9.0')
    keys = {check.wheel_key(**base)} | {
        check.wheel_key(**{**base, name: value})
        for name, value in {**changes, 'machine': 'aarch64'}.items()
    }
    assert len(keys) == 6


def test_wheel_key_is_a_plain_file_name():
    key = check.wheel_key('2.3.6', '2.14.1', 'cpython-311', '8.0;9.0+PTX', 'x86_64')
    assert not set(key) & set('/; ')


@pytest.mark.parametrize(
    ('version', 'expected'), [('2.14.1+cu130', (2, 14, 1)), ('2.4', (2, 4)), ('', ())]
)
def test_numbers(version, expected):
    assert check.numbers(version) == expected


def fake_mmcv(monkeypatch, folder, ops=True, stamp="TORCH = '2.14.1'\nCUDA = False\n"):
    if ops:
        (folder / '_ext.cpython-311-x86_64-linux-gnu.so').touch()
    if stamp:
        (folder / '_build_info.py').write_text(stamp)
    monkeypatch.setattr(check, 'package_folder', lambda name, package: folder)


@pytest.mark.parametrize(
    ('make', 'torch', 'cuda', 'state'),
    [
        (dict(), '2.14.1', False, 'ready'),
        (dict(), '2.14.1', True, 'cpu-only'),
        (dict(), '2.13.0', False, 'other-torch'),
        (dict(ops=False), '2.14.1', False, 'no-ops'),
        (dict(stamp=''), '2.14.1', False, 'unknown-build'),
        (dict(stamp="TORCH = '2.14.1'\nCUDA = True\n"), '2.14.1', True, 'ready'),
    ],
)
def test_mmcv_state(monkeypatch, tmp_path, make, torch, cuda, state):
    fake_mmcv(monkeypatch, tmp_path, **make)
    assert check.mmcv_state(torch, cuda) == state


def test_extras_are_to_do_where_a_requirement_is_missing():
    command = [sys.executable, str(CHECK), 'todo', '--root', str(ROOT), '--torch-min', '2.4']
    command += ['--mmcv', '2.3.6', '--extra', 'there', 'pytest', '--extra', 'old', 'pytest>=999']
    command += ['--extra', 'gone', 'pytest', 'no-such-distribution']
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    steps = run.stdout.split()
    assert {'old', 'gone'} <= set(steps) and 'there' not in steps


def test_interrupted_pip_is_purged(tmp_path):
    info = tmp_path / 'thing-1.0.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n')
    (info / 'WHEEL').touch()
    command = [sys.executable, str(CHECK), 'purge']
    environment = {**os.environ, 'PYTHONPATH': str(tmp_path)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == [info.name]
    assert not info.exists()


# --------------------------------------------------------------------------------------------------
# mmcv_ops.py


def test_cxx_standard_follows_the_headers(tmp_path):
    (tmp_path / 'ATen').mkdir()
    header = tmp_path / 'ATen' / 'ATen.h'
    assert mmcv_ops.cxx_standard(tmp_path) == 'c++17'
    header.write_text('#if !defined(_MSC_VER) && __cplusplus < 201703L\n#error\n')
    assert mmcv_ops.cxx_standard(tmp_path) == 'c++17'
    header.write_text('#if !defined(_MSC_VER) && __cplusplus < 202002L\n#error\n')
    assert mmcv_ops.cxx_standard(tmp_path) == 'c++20'


def test_units_hold_every_source_once_and_keep_clashing_ones_apart(tmp_path):
    folder = tmp_path / 'csrc' / 'cpu'
    folder.mkdir(parents=True)
    names = [*mmcv_ops.CLASHING, 'psamask', *(f'zz{i}' for i in range(20))]
    for name in names:
        (folder / f'{name}.cpp').write_text('x' * len(name))
    sources = [str(folder / f'{name}.cpp') for name in names]
    units = mmcv_ops.plan_units(sources)
    assert sorted(sum(units, [])) == sorted(sources)
    assert len(units) == len(mmcv_ops.CLASHING)
    for unit in units:
        stems = [Path(source).stem for source in unit]
        assert sum(stem in mmcv_ops.CLASHING for stem in stems) == 1
        assert 'psamask' not in stems[:-1]


def test_flags_get_the_standard_of_torch():
    assert mmcv_ops.retarget(['-Wall', '-std=c++17'], 'c++20', quick=False) == [
        '-Wall',
        '-std=c++20',
    ]


def test_jobs_are_limited_by_memory(monkeypatch):
    monkeypatch.setattr(mmcv_ops, 'available_memory', lambda: mmcv_ops.GIB)
    assert mmcv_ops.default_jobs(cuda=True) == 1
    monkeypatch.setattr(mmcv_ops, 'available_memory', lambda: 1000 * mmcv_ops.GIB)
    assert 1 <= mmcv_ops.default_jobs(cuda=False) <= 4
