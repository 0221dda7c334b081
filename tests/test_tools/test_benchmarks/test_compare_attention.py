import json
import re
import sys
from pathlib import Path

import compare_attention
import pytest
import torch
from cli import run_command
from mmengine.config import Config
from scenes import write_tiny_scenes


def test_summary_by_hand() -> None:
    runs = [{'task': 't', 'attention': 'vsa', 'metrics': {'mIoU': value}} for value in (50.0, 70.0)]
    (row,) = compare_attention.summarize(runs)
    assert (row['metric'], row['seeds'], row['mean']) == ('mIoU', 2, 60.0)
    assert row['deviation'] == pytest.approx(200**0.5, abs=1e-4)  # of a sample


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    """Both attentions of one task: trained, tested, tabulated; finished runs are not repeated."""
    root, work = write_tiny_scenes(tmp_path), tmp_path / 'work'
    options = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1', f'data_root={root}']
    options += ['train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False']
    command = [
        *(sys.executable, 'tools/benchmarks/compare_attention.py', '--tasks', 'segmentation'),
        *('--seeds', '0', '--work-dir', work, '--cfg-options', *options),
        *('--classifier-options', *options),
    ]
    output = run_command(*command)
    assert re.search(r'segmentation +\| mIoU +\| vsa +\| +1 \|', output)
    sizes = {}
    for attention in compare_attention.ATTENTIONS:
        folder = work / f'segmentation_{attention}_seed0'
        result = json.loads((folder / 'result.json').read_text())
        assert list(result['metrics']) == ['mIoU']
        cfg = Config.fromfile(folder / 'config.py')
        assert cfg.model.backbone.arch.attention == [attention] * 4
        assert cfg.optim_wrapper.optimizer.type == 'AdamW'
        weights = torch.load(folder / 'epoch_1.pth', weights_only=False)['state_dict']
        sizes[attention] = sum(weight.numel() for weight in weights.values())
    # The regressors are all that varied windows add.
    assert 1 < sizes['vsa'] / sizes['window'] < 1.02
    assert '$' not in run_command(*command)  # no training, the same table
