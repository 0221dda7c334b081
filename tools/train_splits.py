"""Train a scene classifier on several splits; print mean and deviation of its accuracy.

The lists of a split are those of the config with another number at the end
(train_labels_28_0.txt -> train_labels_28_3.txt). Run i takes the i-th of --splits and the seed
--seed + i. All lists are checked before the first run starts. The same command continues after an
interruption: finished runs are kept, an unfinished one resumes.
"""

import argparse
import copy
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mmengine
import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from rich import print
from rich.table import Table

from mmvsa.utils import UsageError, check_datasets, load_config, usage_errors
from mmvsa.utils.arguments import add_cfg_options
from mmvsa.utils.data import iter_datasets
from mmvsa.utils.runner import check_pretrained

METRIC = 'accuracy/top1'
# Splits and first seed of the official code (RSP, Scene Recognition/main.py).
SPLITS, SEED = (0, 1, 2, 3, 4), 2022
LOADERS = ('train_dataloader', 'val_dataloader')
TRAIN = Path(__file__).with_name('train.py')


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        split: number at the end of its lists.
        seed: of the training.
        work_dir: folder of its logs and checkpoints.
        cfg: its config.
    """

    split: int
    seed: int
    work_dir: Path
    cfg: Config

    def accuracies(self) -> dict[int, float]:
        """Return epoch -> accuracy in percent, from the logs of all its starts."""
        found = {}
        for log in sorted(self.work_dir.glob('*/vis_data/scalars.json')):
            for line in map(json.loads, log.read_text(encoding='utf-8').splitlines()):
                if METRIC in line:
                    found[line['step']] = line[METRIC]
        return found

    @property
    def last_epoch(self) -> int:
        return self.cfg.train_cfg.max_epochs

    @property
    def finished(self) -> bool:
        """Whether its last epoch was validated."""
        return self.last_epoch in self.accuracies()

    def write_config(self) -> None:
        """Write the config next to the work dir.

        Raises:
            UsageError: the config of another run is there.
        """
        path, text = self.work_dir.with_suffix('.py'), self.cfg.pretty_text
        if path.exists() and path.read_text(encoding='utf-8') != text:
            raise UsageError(
                f'{path} is another config than that of this run; name another --work-dir'
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')


def parse_args() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='Other options, such as --amp, are those of tools/train.py.',
    )
    parser.add_argument('config', help='config file of a scene classifier')
    parser.add_argument(
        '--splits',
        type=int,
        nargs='+',
        default=SPLITS,
        help='numbers of the splits; one that is named twice trains twice (default: 0 1 2 3 4)',
    )
    parser.add_argument('--seed', type=int, default=SEED, help='of the first run (default: 2022)')
    parser.add_argument('--work-dir', type=Path, help='folder of all runs')
    parser.add_argument('--out', type=Path, help='JSON file (default: splits.json in the work dir)')
    add_cfg_options(parser)
    return parser.parse_known_args()


def use_split(cfg: Config, split: int) -> None:
    """Let every dataset of a config read the lists of a split.

    Raises:
        UsageError: a list has no number of a split in its name.
    """
    for key, dataset in iter_datasets(cfg):
        name = dataset.get('ann_file') or ''
        dataset.ann_file, count = re.subn(r'_\d+(\.\w+)$', rf'_{split}\g<1>', name)
        if not count:
            raise UsageError(
                f'{key}.ann_file={name!r} has no number of a split at its end, as '
                'train_labels_28_0.txt has'
            )


def plan_runs(cfg: Config, splits: Sequence[int], seed: int, work_dir: Path) -> list[Run]:
    """Return one run per entry of ``splits``, its data checked.

    Raises:
        UsageError: a file is missing.
        DatasetError: a list is wrong.
    """
    check_pretrained(cfg)
    runs = []
    for index, split in enumerate(splits):
        own = copy.deepcopy(cfg)
        use_split(own, split)
        own.randomness = {**cfg.get('randomness', {}), 'seed': seed + index}
        check_datasets(own, LOADERS)
        _check_lists(own)
        runs.append(Run(split, seed + index, work_dir / f'run{index}_split{split}', own))
    return runs


def _check_lists(cfg: Config) -> None:
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    for key, dataset in iter_datasets(cfg):
        if key.startswith(LOADERS):
            DATASETS.build(dict(dataset))


def train(run: Run, options: Sequence[str]) -> None:
    """Train, or resume, by tools/train.py.

    Raises:
        UsageError: the training failed.
    """
    command = [sys.executable, TRAIN, run.work_dir.with_suffix('.py'), '--work-dir', run.work_dir]
    status = subprocess.run([*map(str, command), '--resume', *options]).returncode
    if status:
        raise UsageError(
            f'the training of split {run.split} ended with status {status}; the same command '
            f'resumes it from {run.work_dir}'
        )


def summarize(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the accuracy of every run, and mean and standard deviation over the runs.

    ``last`` is that of the last epoch, ``best`` that of the best one; the official code reports
    both. The deviation is that of a population, as there.

    Raises:
        UsageError: the logs of a run lack the accuracy of its last epoch.
    """
    results = []
    for run in runs:
        accuracies = run.accuracies()
        if not run.finished:
            raise UsageError(
                f'{run.work_dir} was trained without a logged {METRIC} of epoch {run.last_epoch}; '
                'remove it, and train with validation'
            )
        last, best = accuracies[run.last_epoch], max(accuracies.values())
        results.append(dict(split=run.split, seed=run.seed, last=last, best=best))
    summary = {}
    for name in ('last', 'best'):
        values = [result[name] for result in results]
        summary[name] = dict(mean=float(np.mean(values)), std=float(np.std(values)))
    return dict(metric=METRIC, runs=results, **summary)


def format_table(summary: dict[str, Any], title: str) -> Table:
    """Return a table with a row per run, and one with mean and deviation."""
    table = Table('split', 'seed', title=title)
    for name in ('last', 'best'):
        table.add_column(f'top-1, {name} epoch (%)', justify='right')
    for run in summary['runs']:
        cells = (f'{run[name]:.2f}' for name in ('last', 'best'))
        table.add_row(str(run['split']), str(run['seed']), *cells)
    means = (f'{summary[n]["mean"]:.2f} ± {summary[n]["std"]:.2f}' for n in ('last', 'best'))
    table.add_row('mean', '', *means)
    return table


def main() -> None:
    args, options = parse_args()
    with usage_errors():
        cfg = load_config(args.config, args.cfg_options)
        name = Path(args.config).stem
        work_dir = args.work_dir or Path('work_dirs', f'{name}_splits')
        runs = plan_runs(cfg, args.splits, args.seed, work_dir)
        for run in runs:
            run.write_config()
        for run in runs:
            if not run.finished:
                train(run, options)
        summary = dict(config=str(args.config), **summarize(runs))
        print(format_table(summary, name))
        out = args.out or work_dir / 'splits.json'
        out.parent.mkdir(parents=True, exist_ok=True)
        mmengine.dump(summary, out, indent=2)
        print(f'wrote {out}')


if __name__ == '__main__':
    main()
