# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
"""Put configs and tools under ``mmvsa/.mim`` as OpenMMLab packages do; all else: pyproject.toml."""

import os
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
# What MMEngine and MIM look for in the ``.mim`` folder of a package: ``mmvsa::...`` configs, model
# zoo metadata, and the tools that ``mim train`` and ``mim test`` run.
MIM_FILES = ('configs', 'tools', 'model-index.yml', 'dataset-index.yml')
# Benchmarks are for a checkout.
NOT_CARRIED = shutil.ignore_patterns('__pycache__', 'benchmarks')


class BuildPy(build_py):
    """Adds the ``.mim`` folder: links to the checkout for an editable install, else copies."""

    def run(self) -> None:
        """Build, then make the folder."""
        super().run()
        parent = ROOT if self.editable_mode else Path(self.build_lib)
        folder = parent / 'mmvsa' / '.mim'
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for source in (ROOT / name for name in MIM_FILES if (ROOT / name).exists()):
            target = folder / source.name
            if self.editable_mode:
                target.symlink_to(os.path.relpath(source, folder))
            elif source.is_dir():
                shutil.copytree(source, target, ignore=NOT_CARRIED)
            else:
                shutil.copyfile(source, target)


setup(cmdclass={'build_py': BuildPy})
