import re
import sys
from pathlib import Path

import compare_attention
import mmengine
import pytest
from helpers.cli import run_command
from helpers.scenes import write_tiny_scenes
from matplotlib.figure import Figure
from mmengine.config import Config

from mmvsa.registry import MODELS
from mmvsa.utils import UsageError


def result(attention: str, seed: int, value: float) -> dict:
    metrics = {'coco/bbox_mAP': value}
    run = {'task': 'detection', 'size': 256, 'attention': attention, 'seed': seed}
    return {**run, 'options': {'train_cfg.max_epochs': 1}, 'metrics': metrics}


def test_summary_by_hand() -> None:
    """Pairs are of one seed, whatever the order of the runs; a run without its pair is left out."""
    runs = [result('vsa', seed, value) for seed, value in enumerate((0.5, 0.6, 0.7, 0.9))]
    runs += [result('window', seed, value) for seed, value in ((2, 0.6), (1, 0.58), (0, 0.47))]
    window, vsa = compare_attention.summarize(runs)
    assert (window['attention'], window['difference'], window['interval']) == ('window', None, None)
    assert vsa['values'] == pytest.approx({0: 50.0, 1: 60.0, 2: 70.0, 3: 90.0})
    assert vsa['mean'] == pytest.approx(67.5)
    assert vsa['deviation'] == pytest.approx((875 / 3) ** 0.5, abs=1e-3)  # of a sample
    # 3, 2 and 10 points: deviation 19^0.5, and 4.303 is the t of two degrees of freedom.
    assert vsa['difference'] == pytest.approx(5.0)
    assert vsa['interval'] == pytest.approx(4.303 * 19**0.5 / 3**0.5, rel=1e-3)


def test_one_run_has_no_deviation() -> None:
    (row,) = compare_attention.summarize([result('vsa', 0, 0.5)])
    assert (row['deviation'], row['difference'], row['interval']) == (None, None, None)
    shown = compare_attention.printed(row)
    assert (shown['mean'], shown['seeds'], shown['interval']) == (50.0, 1, '-')


def test_runs_with_other_options_are_not_compared(tmp_path: Path, capsys) -> None:
    mmengine.dump(result('window', 0, 0.5), tmp_path / 'a' / 'result.json')
    arguments = ['--tasks', 'detection', '--work-dir', str(tmp_path)]
    with pytest.raises(SystemExit):
        compare_attention.main([*arguments, '--cfg-options', 'train_cfg.max_epochs=2'])
    assert 'has runs of detection at 256 pixels with' in capsys.readouterr().err


def test_runs_and_their_configs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Classifiers first, one run for each seed, none of them repeated."""
    ran = []

    def tool(name: str, folder: Path, *args: object) -> None:
        ran.append((name, folder.name))
        if '--out' in args:
            mmengine.dump({'mIoU': 50.0, 'aAcc': 90.0}, args[-1])

    monkeypatch.setattr(compare_attention, 'tool', tool)
    arguments = ['--tasks', 'segmentation', '--seeds', '1', '2', '--sizes', '256', '384']
    arguments += ['--attentions', 'window', 'rvsa', '--work-dir', str(tmp_path)]
    arguments += ['--cfg-options', 'train_cfg.max_epochs=1', 'optim_wrapper.optimizer.lr=0.5']
    arguments += ['--plot', str(tmp_path / 'plot.png'), '--out', str(tmp_path / 'record.json')]
    compare_attention.main(arguments)
    trained = [folder for name, folder in ran if name == 'train']
    seeds = [f'seed{seed}' for seed in (1, 2)]
    starts = [f'classification_{a}_256_{seed}' for seed in seeds for a in ('window', 'rvsa')]
    runs = [
        f'segmentation_{a}_{size}_{seed}'
        for size in (256, 384)
        for seed in seeds
        for a in ('window', 'rvsa')
    ]
    assert trained == starts + runs
    assert [folder for name, folder in ran if name == 'test'] == starts + runs
    cfg = Config.fromfile(tmp_path / 'segmentation_rvsa_256_seed2' / 'config.py')
    assert cfg.model.backbone.arch.attention == ('rvsa',) * 4
    start = tmp_path / 'classification_rvsa_256_seed2' / 'last.pth'
    assert cfg.model.backbone.init_cfg.checkpoint == str(start)
    assert (cfg.randomness.seed, cfg.train_cfg.max_epochs) == (2, 1)
    assert cfg.optim_wrapper.optimizer.lr == 0.5
    assert (tmp_path / 'plot.png').stat().st_size > 1000
    record = mmengine.load(tmp_path / 'record.json')
    # Of either size; without the path of the classifier on this machine.
    options = {'train_cfg.max_epochs': 1, 'optim_wrapper.optimizer.lr': 0.5}
    rows = [row for row in record['results'] if row['task'] == 'segmentation']
    assert [row['options'] for row in rows] == [options] * 4
    assert all(row['values'] == {'1': 50.0, '2': 50.0} for row in rows)
    count = len(ran)
    compare_attention.main(arguments)
    assert len(ran) == count


def test_scenes_of_another_size() -> None:
    """The scenes and the crops grow in proportion, for every task."""
    for task in ('detection', 'segmentation'):
        run = compare_attention.Run(task, 'vsa', 384, 0)
        cfg = compare_attention.build_config(run, {})
        dataset = cfg.train_dataloader.dataset
        assert dataset.settings.size == 384 and dataset.data_root == 'data/digit_scenes_384/'
        transforms = {transform.type: transform for transform in dataset.pipeline}
        if task == 'detection':
            assert transforms['RandomChoiceResize'].scales == [(n, n) for n in (288, 336, 384)]
            assert cfg.test_evaluator.ann_file.startswith('data/digit_scenes_384/')
        else:
            assert transforms['RandomCrop'].crop_size == (192, 192)
            assert cfg.model.data_preprocessor.size == (192, 192)


def test_parameters_agree_within_one_percent() -> None:
    counts = []
    for attention in compare_attention.ATTENTIONS:
        run = compare_attention.Run('classification', attention, 256, 0)
        cfg = compare_attention.build_config(run, {})
        backbone = MODELS.build(dict(cfg.model.backbone))
        counts.append(sum(p.numel() for p in backbone.parameters()))
    assert max(counts) <= 1.01 * min(counts)


def test_failed_run_shows_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / 'config.py').write_text('model = 1\n')
    with pytest.raises(UsageError, match=r'failed; .*train\.log ends with'):
        compare_attention.tool('train', tmp_path)


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    """A classifier and the segmentor that starts from it: trained, tested, tabulated."""
    root, work = write_tiny_scenes(tmp_path), tmp_path / 'work'
    options = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1', f'data_root={root}']
    options += ['train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False']
    few_digits = 'train_dataloader.dataset.datasets.1.dataset.indices=64'
    output = run_command(
        *(sys.executable, 'tools/benchmarks/compare_attention.py', '--tasks', 'segmentation'),
        *('--attentions', 'vsa', '--seeds', '0', '--work-dir', work),
        *('--jobs', '2', '--cfg-options', *options),
        *('--classifier-options', *options, few_digits),
    )
    assert re.search(r'segmentation +\| +256 +\| mIoU +\| vsa +\| +1 \|', output)


def test_the_plot_has_a_panel_for_each_size_and_metric(tmp_path: Path, monkeypatch) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, 'savefig', lambda figure, *args, **kwargs: figures.append(figure))
    row = dict(metric='mIoU', attention='window', size=256, mean=2.0, deviation=1.0)
    rows = [
        dict(row, size=384, values={0: 5.0}, mean=5.0, deviation=None),
        dict(row, values={0: 1.0, 1: 3.0}),
        dict(row, values={0: 4.0, 1: 4.0}, mean=4.0, deviation=0.0, attention='vsa'),
        dict(row, values={0: 9.0}, mean=9.0, metric='coco/bbox_mAP'),
    ]
    compare_attention.plot(rows, tmp_path / 'plot.png')
    panels = {axis.get_title(): axis for axis in figures[0].axes}
    assert list(panels) == ['bbox_mAP, 256 px', 'mIoU, 256 px', 'mIoU, 384 px']
    panel = panels['mIoU, 256 px']
    assert [label.get_text() for label in panel.get_xticklabels()] == ['window', 'vsa']
    drawn = [list(line.get_ydata()) for line in panel.lines]
    assert [1.0, 3.0] in drawn and [2.0] in drawn and [4.0, 4.0] in drawn
