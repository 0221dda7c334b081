import re
import sys
from pathlib import Path

import compare_attention
import mmengine
import pytest
from helpers.cli import run_command
from helpers.scenes import write_tiny_scenes
from mmengine.config import Config


def test_summary_by_hand() -> None:
    runs = [{'task': 't', 'attention': 'vsa', 'metrics': {'mIoU': value}} for value in (50.0, 70.0)]
    (row,) = compare_attention.summarize(runs)
    assert (row['metric'], row['seeds'], row['mean']) == ('mIoU', 2, 60.0)
    assert row['deviation'] == pytest.approx(200**0.5, abs=1e-4)  # of a sample


def test_runs_and_their_configs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One classifier for each attention, one run for each seed, none of them repeated."""
    ran = []

    def tool(name: str, config: Path, *args: object) -> None:
        ran.append((name, config.parent.name))
        (config.parent / 'last_checkpoint').write_text(f'{config.parent}/epoch_1.pth')
        if '--out' in args:
            mmengine.dump({'mIoU': 50.0, 'aAcc': 90.0}, args[-1])

    monkeypatch.setattr(compare_attention, 'tool', tool)
    arguments = ['--tasks', 'segmentation', '--seeds', '1', '2', '--work-dir', str(tmp_path)]
    arguments += ['--cfg-options', 'train_cfg.max_epochs=1', 'optim_wrapper.optimizer.lr=0.5']
    compare_attention.main(arguments)
    trained = [folder for name, folder in ran if name == 'train']
    runs = [f'segmentation_{a}_seed{seed}' for a in ('vsa', 'window') for seed in (1, 2)]
    assert sorted(trained) == ['classifier_vsa', 'classifier_window', *runs]
    assert sorted(folder for name, folder in ran if name == 'test') == runs
    cfg = Config.fromfile(tmp_path / 'segmentation_vsa_seed2' / 'config.py')
    assert cfg.model.backbone.arch.attention == ('vsa',) * 4
    assert cfg.model.backbone.init_cfg.checkpoint == f'{tmp_path}/classifier_vsa/epoch_1.pth'
    assert (cfg.randomness.seed, cfg.train_cfg.max_epochs) == (2, 1)
    optimizer = cfg.optim_wrapper
    assert optimizer.optimizer == dict(type='AdamW', lr=0.5, weight_decay=0.05)
    assert optimizer.paramwise_cfg.custom_keys == {'transform.regressor': dict(lr_mult=0.02)}
    assert 'constructor' not in optimizer
    count = len(ran)
    compare_attention.main(arguments)
    assert len(ran) == count


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    """Both attentions of one task: trained, tested, tabulated."""
    root, work = write_tiny_scenes(tmp_path), tmp_path / 'work'
    options = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1', f'data_root={root}']
    options += ['train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False']
    output = run_command(
        *(sys.executable, 'tools/benchmarks/compare_attention.py', '--tasks', 'segmentation'),
        *('--seeds', '0', '--work-dir', work, '--cfg-options', *options),
        *('--classifier-options', *options),
    )
    for attention in compare_attention.ATTENTIONS:
        assert re.search(rf'segmentation +\| mIoU +\| {attention} +\| +1 \|', output)
