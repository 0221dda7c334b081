# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
"""The sdist and the wheel: what they hold, and that they work in an environment of their own."""

import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
import yaml

from mmvsa import __version__

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.slow


def run(*command, cwd=None):
    """Run a command with a clean environment for Python; its output."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={'PATH': '/usr/bin:/bin', 'OMP_NUM_THREADS': '1'},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('setup')


@pytest.fixture(scope='module')
def sdist(folder):
    """The sdist of a copy of the checkout."""
    source = folder / 'source'
    for name in ('mmvsa', 'configs', 'tools', 'docs'):
        ignore = shutil.ignore_patterns('.mim', '__pycache__', '_build')
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    for pattern in ('*.py', '*.toml', '*.in', '*.yml', '*.md', '*.cff', 'LICENSE'):
        for path in ROOT.glob(pattern):
            shutil.copyfile(path, source / path.name)
    build = 'from setuptools import build_meta; build_meta.build_sdist("..")'
    run(sys.executable, '-c', build, cwd=source)
    (path,) = folder.glob('mmvsa-*.tar.gz')
    return path


@pytest.fixture(scope='module')
def wheel_file(folder, sdist):
    """The wheel that pip builds from the sdist."""
    command = [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation']
    run(*command, '--wheel-dir', folder, sdist)
    (path,) = folder.glob('mmvsa-*.whl')
    return path


@pytest.fixture(scope='module')
def wheel(wheel_file):
    return zipfile.ZipFile(wheel_file)


@pytest.fixture(scope='module')
def python(folder, wheel_file):
    """The interpreter of a fresh environment with the wheel.

    Its other packages are those of this environment, by a path that comes after its own; a .pth
    file of an editable install is not read there.
    """
    run(sys.executable, '-m', 'venv', '--without-pip', folder / 'env')
    interpreter = folder / 'env' / 'bin' / 'python'
    (site,) = (folder / 'env').glob('lib/python*/site-packages')
    site.joinpath('dependencies.pth').write_text(sysconfig.get_path('purelib'))
    install = [sys.executable, '-m', 'pip', '--python', interpreter, 'install']
    run(*install, '--no-deps', '--no-index', '--force-reinstall', wheel_file)
    return interpreter


def test_sdist_holds_what_the_wheel_is_built_from(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition('/')[2] for name in archive.getnames()}
    expected = ['setup.py', 'model-index.yml', 'CITATION.cff', 'docs/images/windows.png']
    expected += ['mmvsa/py.typed', 'tools/installer/constraints.txt', 'tools/benchmarks/gpu.py']
    assert set(expected) - names == set()
    assert not any(name.startswith(('tests', 'mmvsa/.mim')) for name in names)


def test_wheel_carries_configs_tools_and_metafiles(wheel):
    names = set(wheel.namelist())
    assert 'mmvsa/visualization/window_page.html' in names
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
    assert 'mmvsa/py.typed' in names


def test_metadata_names_version_requirements_and_extras(wheel):
    text = wheel.read(f'mmvsa-{__version__}.dist-info/METADATA')
    metadata = message_from_bytes(text)
    assert metadata['Version'] == __version__
    assert metadata['Requires-Python'] == '>=3.10'
    assert 'torch>=2.4' in metadata.get_all('Requires-Dist')
    extras = {'cls', 'det', 'seg', 'rotate', 'pose', 'all', 'docs', 'dev'}
    assert extras <= set(metadata.get_all('Provides-Extra'))


def test_citation_and_changelog_name_the_version():
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert citation['version'] == __version__
    assert f'\n## [{__version__}]' in (ROOT / 'CHANGELOG.md').read_text()


USE = """
import mmvsa, torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.utils import get_installed_path

assert mmvsa.__file__.startswith({env!r}), mmvsa.__file__
assert get_installed_path('mmvsa').startswith({env!r}), get_installed_path('mmvsa')
model = mmvsa.get_model('vitaev2-s-vsa', num_classes=3).eval()
with torch.no_grad():
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 3)
base = 'mmvsa::mask_rcnn/mask-rcnn_vitaev2-s-vsa_fpn_ms-1x_coco.py'
assert get_config(base).model.backbone.arch == 's-vsa'
text = "_base_ = __import__('mmvsa') and ['" + base + "']; train_dataloader = dict(batch_size=7)"
child = Config.fromstring(text, '.py')
assert child.train_dataloader.batch_size == 7 and child.model.backbone.type == 'mmvsa.ViTAEv2'
"""


def test_installed_wheel_builds_models_and_configs(python, tmp_path):
    run(python, '-c', USE.format(env=str(python.parents[1])), cwd=tmp_path)


def test_doctor_of_the_installed_wheel(python, tmp_path):
    report = run(python, '-m', 'mmvsa.doctor', cwd=tmp_path)
    assert __version__ in report and 'broken' not in report


def test_tools_of_the_installed_wheel_are_where_mim_looks(python, tmp_path):
    """``mim train mmvsa CONFIG`` runs ``.mim/tools/train.py`` of the installed package."""
    package = Path(
        run(python, '-c', 'import mmvsa; print(mmvsa.__path__[0])', cwd=tmp_path).strip()
    )
    index = yaml.safe_load((package / '.mim/model-index.yml').read_text())['Import']
    assert all((package / '.mim' / metafile).is_file() for metafile in index)
    config = package / '.mim/configs/quickstart/vitaev2-vsa-nano_digits.py'
    command = [python, package / '.mim/tools/train.py', config, '--work-dir', tmp_path / 'work']
    options = ['train_cfg.max_epochs=1', 'train_dataloader.dataset.indices=64']
    output = run(*command, '--no-validate', '--cfg-options', *options, cwd=tmp_path)
    assert (tmp_path / 'work' / 'epoch_1.pth').is_file(), output
