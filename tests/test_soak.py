"""Memory and open files over many cycles of training and validation."""

import os
from pathlib import Path

import numpy as np
import pytest
from helpers.cli import run_tool, tiny_config
from mmengine.hooks import Hook

from mmvsa.registry import HOOKS

EPOCHS = 60
WARM_UP = 20  # caches of allocators and of imports fill up
SAMPLES: list[tuple[int, int]] = []


@HOOKS.register_module()
class FootprintHook(Hook):
    """Keeps the resident memory, in pages, and the number of open files after each validation."""

    def after_val_epoch(self, runner: object, metrics: object = None) -> None:
        pages = int(Path('/proc/self/statm').read_text().split()[1])
        SAMPLES.append((pages, len(os.listdir('/proc/self/fd'))))


@pytest.mark.slow
@pytest.mark.skipif(not Path('/proc/self/statm').exists(), reason='reads /proc')
@pytest.mark.parametrize('workers', [0, 2])
def test_cycles_of_training_and_validation_keep_no_memory(tmp_path: Path, workers: int) -> None:
    """Within 2 % after a warm-up, with checkpoints, best checkpoints, averages and pictures."""
    SAMPLES.clear()
    extra = f"""
custom_hooks = [
    dict(type='EMAHook', momentum=0.1),
    dict(type='mmvsa.TrainingCurveHook'),
    dict(type='mmvsa.FootprintHook'),
]
train_dataloader.update(num_workers={workers}, persistent_workers={bool(workers)})
"""
    config = tiny_config(tmp_path, epochs=EPOCHS, extra=extra)
    options = ('train_dataloader.dataset.indices=32', 'val_dataloader.dataset.indices=16')
    run_tool('train', config, '--work-dir', tmp_path / 'work', '--cfg-options', *options)
    pages, files = np.array(SAMPLES[WARM_UP:]).T
    assert len(SAMPLES) == EPOCHS
    middle = len(pages) // 2
    early, late = np.median(pages[:middle]), np.median(pages[middle:])
    assert late <= 1.02 * early, (early, late)
    assert files.max() == files.min()
