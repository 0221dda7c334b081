"""Running the command-line tools, and a config that trains in seconds."""

import importlib.util
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from unittest import mock

from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / 'configs/quickstart/vitaev2-vsa-nano_digits.py'

TINY = """
_base_ = [{base!r}]
model = dict(backbone=dict(arch=dict(
    embed_dims=(4, 4, 8), token_dims=(8, 16, 16), rc_heads=(2, 2, 4), num_heads=(2, 4, 4),
    nc_groups=(1, 4, 4), rc_groups=(1, 4, 4))), head=dict(in_channels=16))
train_dataloader = dict(batch_size=16, dataset=dict(indices=64))
val_dataloader = dict(dataset=dict(indices=90))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs={epochs})
{extra}
"""


def tiny_config(folder: Path, epochs: int = 1, extra: str = '') -> Path:
    """A child of the quickstart's config: 64 training images, 90 held out, a smaller model."""
    path = folder / 'tiny.py'
    path.write_text(TINY.format(base=str(QUICKSTART), epochs=epochs, extra=extra))
    return path


def run_tool(name: str, *args: object) -> None:
    """Run ``tools/<name>.py`` in this process."""
    argv = [name, *map(str, args)]
    # MMEngine's global objects are named by config and second: two quick runs would share them.
    for manager in (DefaultScope, MessageHub, MMLogger, *_visualizers(Visualizer)):
        manager._instance_dict.clear()
    script = ROOT / f'tools/{name}.py'
    # The tool exports LOCAL_RANK, which would leak into later tests.
    with mock.patch.object(sys, 'argv', argv), mock.patch.dict(os.environ), _beside(script):
        runpy.run_path(str(script), run_name='__main__')


def _beside(script: Path) -> AbstractContextManager:
    """A script imports modules of its folder, as where Python runs it."""
    return mock.patch.object(sys, 'path', [str(script.parent), *sys.path])


def _visualizers(base: type) -> Iterator[type]:
    yield base
    for child in base.__subclasses__():
        yield from _visualizers(child)


def run_command(*args: object, **env: str) -> str:
    """Run a command from the repository's root; its output, or an AssertionError with it."""
    done = subprocess.run(
        [str(arg) for arg in args],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            'PYTHONPATH': str(ROOT),
            'PYTHON': sys.executable,
            'OMP_NUM_THREADS': '1',
            **env,
        },
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


def load_tool(name: str) -> ModuleType:
    """The module of ``tools/<name>.py``, to call its ``main`` in this process."""
    script = ROOT / f'tools/{name}.py'
    spec = importlib.util.spec_from_file_location(script.stem, script)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    with _beside(script), mock.patch.dict(os.environ):
        spec.loader.exec_module(module)
    return module
