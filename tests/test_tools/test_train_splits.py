"""Training on several splits, and the accuracy over them."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.cli import load_tool, run_tool, tiny_config
from mmengine.config import Config
from PIL import Image

from mmvsa.utils import UsageError, load_config

tool = load_tool('train_splits')

SCENES = """
_scenes = dict(
    _delete_=True, type='mmvsa.SceneList', data_root={root!r}, data_prefix='all_img',
    num_classes=10, pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')])
train_dataloader = dict(batch_size=4, dataset=dict(ann_file='train_labels_28_0.txt', **_scenes))
val_dataloader = dict(dataset=dict(ann_file='valid_labels_28_0.txt', **_scenes))
test_dataloader = val_dataloader
custom_hooks = []
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three splits of eight scenes of two classes."""
    rng = np.random.default_rng(0)
    folder = tmp_path / 'scenes'
    (folder / 'all_img').mkdir(parents=True)
    lines = [f'{index}.png class{index % 2} {index % 2}' for index in range(8)]
    for index in range(8):
        scene = rng.integers(0, 100, (32, 32, 3)) + 150 * (index % 2)
        Image.fromarray(scene.astype(np.uint8)).save(folder / f'all_img/{index}.png')
    for split in range(3):
        (folder / f'train_labels_28_{split}.txt').write_text('\n'.join(lines[split : split + 4]))
        (folder / f'valid_labels_28_{split}.txt').write_text('\n'.join(lines[:4]))
    return folder


@pytest.fixture
def config(root: Path, tmp_path: Path) -> Path:
    path = tiny_config(tmp_path, epochs=2)
    child = tmp_path / 'scenes_tiny.py'
    child.write_text(f"_base_ = ['{path}']\n" + SCENES.format(root=str(root)))
    return child


class Trainings:
    """tools/train.py in this process, in place of the module subprocess.

    Attributes:
        configs: names of the configs that were trained.
        options: further options of the next trainings, one list for each.
    """

    def __init__(self) -> None:
        self.configs: list[str] = []
        self.options: list[list[str]] = []

    def run(self, command: list[str]) -> SimpleNamespace:
        self.configs.append(Path(command[2]).name)
        options = self.options.pop(0) if self.options else []
        run_tool('train', *command[2:], *options)
        return SimpleNamespace(returncode=len(options))


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Trainings:
    trainings = Trainings()
    monkeypatch.setattr(tool, 'subprocess', trainings)
    return trainings


def run_splits(monkeypatch: pytest.MonkeyPatch, *args: object) -> None:
    monkeypatch.setattr(sys, 'argv', ['train_splits', *map(str, args)])
    tool.main()


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, *args: object) -> str:
    with pytest.raises(SystemExit) as stopped:
        run_splits(monkeypatch, *args)
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_two_splits(config, tmp_path, monkeypatch, capsys, trainings):
    """Each split is trained on its lists; a second command finishes what was interrupted."""
    work_dir, out = tmp_path / 'runs', tmp_path / 'result.json'
    command = (config, '--splits', 0, 2, '--work-dir', work_dir, '--out', out)
    trainings.options = [[], ['--cfg-options', 'train_cfg.max_epochs=1']]
    error = refused(monkeypatch, capsys, *command)
    assert 'the training of split 2 ended with status 2' in error and not out.exists()
    run_splits(monkeypatch, *command)
    assert trainings.configs == ['run0_split0.py', 'run1_split2.py', 'run1_split2.py']
    assert len(list((work_dir / 'run1_split2').glob('*/vis_data'))) == 2

    summary = json.loads(out.read_text())
    assert [(run['split'], run['seed']) for run in summary['runs']] == [(0, 2022), (2, 2023)]
    for run, name in zip(summary['runs'], ('run0_split0', 'run1_split2'), strict=True):
        own = load_config(work_dir / f'{name}.py')
        assert own.train_dataloader.dataset.ann_file == f'train_labels_28_{run["split"]}.txt'
        assert own.val_dataloader.dataset.ann_file == f'valid_labels_28_{run["split"]}.txt'
        assert own.randomness.seed == run['seed']
        log = max((work_dir / name).glob('*/*.log')).read_text()
        assert f'Epoch(val) [2][1/1]    accuracy/top1: {run["last"]:.4f}' in log
        assert run['best'] >= run['last']
    last = [run['last'] for run in summary['runs']]
    assert summary['last'] == dict(mean=np.mean(last), std=np.std(last))
    assert f'{np.mean(last):.2f} ± {np.std(last):.2f}' in capsys.readouterr().out


def write_log(folder: Path, *accuracies: tuple[int, float]) -> None:
    lines = [{'loss': 1.0, 'step': 1}]
    lines += [{'accuracy/top1': value, 'step': epoch} for epoch, value in accuracies]
    path = folder / 'vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(map(json.dumps, lines)) + '\n')


def test_mean_and_deviation_by_hand(tmp_path):
    """Of the population; the log of a later start wins; a last epoch without accuracy is named."""
    cfg = Config(dict(train_cfg=dict(max_epochs=2)))
    runs = [tool.Run(index, 0, tmp_path / str(index), cfg) for index in range(2)]
    write_log(tmp_path / '0/first', (1, 80.0), (2, 70.0))
    write_log(tmp_path / '0/second', (2, 75.0))
    write_log(tmp_path / '1/first', (1, 60.0))
    with pytest.raises(UsageError, match=r'1 was trained without a logged .* of epoch 2'):
        tool.summarize(runs)
    write_log(tmp_path / '1/second', (2, 85.0))
    summary = tool.summarize(runs)
    assert [(run['last'], run['best']) for run in summary['runs']] == [(75, 80), (85, 85)]
    assert summary['last'] == dict(mean=80.0, std=5.0)
    assert summary['best'] == dict(mean=82.5, std=2.5)


def test_bad_input_is_refused_first(config, root, tmp_path, monkeypatch, capsys, trainings):
    options = ('--work-dir', tmp_path / 'runs')
    error = refused(monkeypatch, capsys, config, *options)
    assert 'train_labels_28_3.txt, which does not exist' in error
    bad = root / 'valid_labels_28_2.txt'
    bad.write_text('0.png class0 0\n1.png class1 ten\n')
    error = refused(monkeypatch, capsys, config, *options, '--splits', 0, 2)
    assert f"{bad}, line 2: 'ten' is no index of a class" in error
    key = 'val_dataloader.dataset.ann_file=valid.txt'
    error = refused(monkeypatch, capsys, config, *options, '--splits', 0, '--cfg-options', key)
    assert "val_dataloader.dataset.ann_file='valid.txt' has no number of a split" in error
    assert not trainings.configs and not (tmp_path / 'runs').exists()


def test_runs_of_another_config_are_refused(config, tmp_path, monkeypatch, capsys, trainings):
    command = (config, '--splits', 0, '--work-dir', tmp_path / 'runs')
    (tmp_path / 'runs').mkdir()
    (tmp_path / 'runs/run0_split0.py').write_text('a = 1\n')
    error = refused(monkeypatch, capsys, *command)
    assert 'run0_split0.py is another config' in error and not trainings.configs
