# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
"""Packaging of mmvsa, with its configs and tools under ``mmvsa/.mim`` as OpenMMLab packages do."""

import os
import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
# What MMEngine and MIM look for in the ``.mim`` folder of a package: ``mmvsa::...`` configs, model
# zoo metadata, and the tools that ``mim train`` and ``mim test`` run.
MIM_FILES = ('configs', 'tools', 'model-index.yml', 'dataset-index.yml')

# setup() does not list the onedl-* packages as plain requirements: mmvsa also runs on the upstream
# packages that own the same modules. tools/install.sh installs them, with mmcv's compiled ops.
REQUIRES = ['numpy', 'torch>=2.4', 'torchvision']
BASE = ['onedl-mmengine>=0.10.12', 'onedl-mmcv>=2.3.6']
EXTRAS = {
    'cls': [*BASE, 'onedl-mmpretrain>=1.3.6', 'scikit-learn'],
    'det': [*BASE, 'onedl-mmdetection>=3.5.1'],
    'seg': [*BASE, 'onedl-mmsegmentation>=1.4.2'],
    'rotate': [*BASE, 'onedl-mmdetection>=3.5.1', 'onedl-mmrotate>=1.2.1'],
    # Without mmpose itself: pip would build chumpy, which mmpose asks for and never imports. It is
    # installed with --no-deps, and xtcocotools compiled: docs/downstream.md, or install.sh --pose.
    'pose': [*BASE, 'json_tricks', 'munkres', 'Cython', 'matplotlib', 'scipy'],
    'dev': ['pytest', 'pytest-xdist', 'ruff', 'mypy', 'timm', 'scikit-image', 'matplotlib'],
}
EXTRAS['all'] = sorted({*EXTRAS['cls'], *EXTRAS['det'], *EXTRAS['seg']})


def read_version() -> str:
    """The version in mmvsa/version.py, which cannot be imported before torch is installed."""
    text = (ROOT / 'mmvsa' / 'version.py').read_text()
    return re.search(r"__version__ = '([^']+)'", text).group(1)


def link_mim(folder: Path) -> None:
    """Link the files into the checkout, for editable installs (the folder is git-ignored)."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in MIM_FILES:
        if (ROOT / name).exists():
            (folder / name).symlink_to(os.path.relpath(ROOT / name, folder))


def copy_mim(folder: Path) -> None:
    """Copy the files into the build tree; the checkout stays as it is."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in MIM_FILES:
        source = ROOT / name
        if source.is_dir():
            ignore = shutil.ignore_patterns('__pycache__', '*.pyc')
            shutil.copytree(source, folder / name, ignore=ignore)
        elif source.is_file():
            shutil.copyfile(source, folder / name)


class BuildPy(build_py):
    """Adds the ``.mim`` folder to what is built."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            link_mim(ROOT / 'mmvsa' / '.mim')
        else:
            copy_mim(Path(self.build_lib) / 'mmvsa' / '.mim')


def read_readme() -> str:
    readme = ROOT / 'README.md'
    return readme.read_text(encoding='utf-8') if readme.is_file() else ''


setup(
    name='mmvsa',
    version=read_version(),
    description='Varied-size window attention and its vision backbones for OpenMMLab',
    long_description=read_readme(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    keywords=['computer vision', 'vision transformer', 'window attention', 'OpenMMLab'],
    classifiers=[
        'Development Status :: 4 - Beta',
        'Operating System :: OS Independent',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    packages=find_packages(include=['mmvsa', 'mmvsa.*']),
    cmdclass={'build_py': BuildPy},
    python_requires='>=3.10',
    install_requires=REQUIRES,
    extras_require=EXTRAS,
    zip_safe=False,
)
