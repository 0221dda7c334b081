"""Train the quickstarts of DigitScenes with different attentions and compare their metrics.

    python tools/benchmarks/compare_attention.py --seeds 0 1 2 --sizes 256 384 --plot compare.png

Every run is the quickstart of its task with the attention of the backbone exchanged in all stages,
and the same schedule for all; the parameters agree within 1 %. Detectors and segmentors start from
the classifier of their attention and seed. At larger ``--sizes`` the scenes and the crops grow and
the digits do not, so that a window is a smaller part of the map. Finished runs are kept in
--work-dir and not repeated: the command resumes where it was stopped. It ends with a table of all
runs found: mean and standard deviation over the seeds, and the difference to fixed windows.
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mmengine
import torch
from measure import print_table, write_record
from mmengine.config import Config, ConfigDict
from scipy.stats import ttest_rel

from mmvsa.utils import UsageError, load_config, usage_errors
from mmvsa.utils.options import parse_options

ROOT = Path(__file__).resolve().parents[2]
QUICKSTARTS = {
    'classification': 'vitaev2-vsa-nano_digit-scenes',
    'detection': 'mask-rcnn_vitaev2-vsa-nano_digit-scenes',
    'segmentation': 'fcn_vitaev2-vsa-nano_digit-scenes',
}
ATTENTIONS = ('window', 'vsa', 'rvsa', 'quadrangle')
# No digit is large, by COCO's measure: 96 pixels squared of ink.
METRICS = (
    'accuracy/top1',
    *(f'coco/{kind}_mAP{size}' for kind in ('bbox', 'segm') for size in ('', '_s', '_m')),
    'mIoU',
)
BASELINE = 'window'
SCENE_SIZE = 256  # of the quickstarts, in pixels
COLUMNS = 5  # of the plot
# Fixed windows have no regressors; wider MLPs make up for them.
MLP_RATIOS = {'window': 1.02}


@dataclass(frozen=True)
class Run:
    """One training: a task, an attention, the side of the scenes in pixels, and a seed."""

    task: str
    attention: str
    size: int
    seed: int

    @property
    def name(self) -> str:
        return f'{self.task}_{self.attention}_{self.size}_seed{self.seed}'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--tasks', nargs='+', choices=QUICKSTARTS, default=list(QUICKSTARTS))
    parser.add_argument('--attentions', nargs='+', choices=ATTENTIONS, default=list(ATTENTIONS))
    parser.add_argument('--sizes', nargs='+', type=int, default=[SCENE_SIZE], help='of scenes')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--jobs', type=int, default=1, help='runs at the same time')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/compare_attention'))
    parser.add_argument('--plot', type=Path, metavar='FILE', help='draw the table')
    parser.add_argument('--out', type=Path, metavar='FILE', help='write the table as JSON')
    for option in ('--cfg-options', '--classifier-options'):
        parser.add_argument(option, nargs='+', default=[], metavar='KEY=VALUE')
    return parser.parse_args(argv)


def list_runs(args: argparse.Namespace) -> Iterator[Run]:
    """List the runs that are asked for and the classifiers they start from, those first."""
    for seed in args.seeds:
        for attention in args.attentions:
            yield Run('classification', attention, SCENE_SIZE, seed)
    for size in args.sizes:
        for seed in args.seeds:
            for task in [task for task in args.tasks if task != 'classification']:
                for attention in args.attentions:
                    yield Run(task, attention, size, seed)


def build_config(run: Run, options: dict[str, Any], checkpoint: str | None = None) -> Config:
    """Build the config of a run: its quickstart with another attention, seed and scene size.

    Args:
        run: What is trained.
        options: As for ``--cfg-options``.
        checkpoint: That of the classifier that a detector or a segmentor starts from.
    """
    if checkpoint:
        options = {**options, 'model.backbone.init_cfg.checkpoint': checkpoint}
    cfg = load_config(ROOT / f'configs/quickstart/{QUICKSTARTS[run.task]}.py', options)
    arch = cfg.model.backbone.arch
    arch.attention = (run.attention,) * len(arch.depths)
    arch.position_conv = True  # comes with VSA: all have it
    arch.mlp_ratio *= MLP_RATIOS.get(run.attention, 1.0)
    cfg.randomness.seed = run.seed
    if run.size != SCENE_SIZE:
        scale_scenes(cfg, run.size)
    return cfg


def scale_scenes(cfg: Config, size: int) -> None:
    """Let the scenes have another size in pixels, and everything that the pipelines cut."""

    def scaled(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(map(scaled, value))
        return value * size // SCENE_SIZE

    def scale(transforms: Sequence[ConfigDict]) -> None:
        for transform in transforms:
            for key in ('scale', 'scales', 'crop_size'):
                if key in transform:
                    transform[key] = scaled(transform[key])

    for split in ('train', 'val', 'test'):
        dataset = cfg[f'{split}_dataloader'].dataset
        dataset.settings.size = size
        dataset.data_root = f'{dataset.data_root.rstrip("/")}_{size}/'
        scale(dataset.pipeline)
        evaluator = cfg.get(f'{split}_evaluator') or {}
        if 'ann_file' in evaluator:
            evaluator['ann_file'] = f'{dataset.data_root}annotations/instances_val.json'
    if 'size' in cfg.model.data_preprocessor:
        cfg.model.data_preprocessor.size = scaled(cfg.model.data_preprocessor.size)


def read_options(run: Run, args: argparse.Namespace) -> dict[str, Any]:
    """Return the options of a run's config."""
    classifier = run.task == 'classification'
    return parse_options(args.classifier_options if classifier else args.cfg_options)


def load_results(work_dir: Path) -> list[dict[str, Any]]:
    """Return the results of all runs that a folder has."""
    return [mmengine.load(path) for path in sorted(work_dir.glob('*/result.json'))]


def check_options(args: argparse.Namespace) -> None:
    """Refuse to compare runs of other options.

    Raises:
        UsageError: --work-dir has runs of a task and size that is asked for with other options.
    """
    found = {(run['task'], run['size']): run['options'] for run in load_results(args.work_dir)}
    for run in list_runs(args):
        options = read_options(run, args)
        if found.get((run.task, run.size), options) != options:
            raise UsageError(
                f'{args.work_dir} has runs of {run.task} at {run.size} pixels with '
                f'{found[run.task, run.size]}, not {options}; choose another --work-dir'
            )


def perform(run: Run, args: argparse.Namespace, start: 'Future[Path] | None') -> Path:
    """Train and test a model and write its ``result.json``, unless it is there.

    Args:
        run: What is trained.
        args: Those of the command.
        start: Folder of the classifier that a detector or segmentor starts from.

    Returns:
        The folder of the run.
    """
    folder = args.work_dir / run.name
    options = read_options(run, args)
    checkpoint = str(start.result() / 'last.pth') if start else None
    if (folder / 'result.json').is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    cfg = build_config(run, options, checkpoint)
    cfg.default_hooks.checkpoint = dict(
        type='CheckpointHook', interval=1, max_keep_ckpts=1, filename_tmpl='last.pth'
    )
    cfg.dump(folder / 'config.py')
    if not (folder / 'trained').is_file():
        tool('train', folder, '--no-validate')
        (folder / 'trained').touch()
    metrics = folder / 'metrics.json'
    tool('test', folder, folder / 'last.pth', '--out', metrics)
    found = mmengine.load(metrics)
    result = dict(
        task=run.task,
        attention=run.attention,
        size=run.size,
        seed=run.seed,
        options=options,
        metrics={name: found[name] for name in METRICS if name in found},
    )
    part = folder / 'result.json.part'
    mmengine.dump(result, part, file_format='json', indent=1)
    part.replace(folder / 'result.json')
    return folder


def tool(name: str, folder: Path, *args: object) -> None:
    """Run a tool of this checkout on a folder's config; its failure ends this command."""
    command = [sys.executable, f'{ROOT}/tools/{name}.py', f'{folder}/config.py', *map(str, args)]
    print('$', *command, flush=True)
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))
    log = folder / f'{name}.log'
    with log.open('w') as out:
        code = subprocess.call(
            [*command, '--work-dir', str(folder)],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, 'PYTHONPATH': path},
        )
    if code:
        raise UsageError(f'{folder.name} failed; {log} ends with\n{log.read_text()[-1000:]}')


def perform_all(args: argparse.Namespace) -> None:
    """Perform the runs, --jobs at the same time."""
    runs: dict[Run, Future[Path]] = {}
    with ThreadPoolExecutor(args.jobs) as pool:
        for run in list_runs(args):
            classifier = replace(run, task='classification', size=SCENE_SIZE)
            # Runs are taken in order, so that what a run waits for is never behind it.
            runs[run] = pool.submit(perform, run, args, runs.get(classifier))
    for future in runs.values():
        future.result()


def summarize(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each task, size, metric and attention, over the seeds, in percent.

    ``difference`` is that to fixed windows, from pairs of runs with the same seed; ``interval`` is
    half of its 95 % confidence interval, by Student's t.
    """
    table: dict[tuple[str, int, str], dict[str, dict[int, float]]] = {}
    options = {(run['task'], run['size']): run['options'] for run in runs}
    for run in runs:
        for metric, value in run['metrics'].items():
            by_attention = table.setdefault((run['task'], run['size'], metric), {})
            percent = round(value * 100 if metric.startswith('coco/') else value, 2)
            by_attention.setdefault(run['attention'], {})[run['seed']] = percent
    rows = []
    for (task, size, metric), by_attention in sorted(table.items()):
        for attention in sorted(by_attention, key=ATTENTIONS.index):
            values = by_attention[attention]
            baseline = by_attention.get(BASELINE, {}) if attention != BASELINE else {}
            row = dict(
                task=task,
                size=size,
                metric=metric,
                attention=attention,
                options=options[task, size],
                values=values,
                mean=statistics.mean(values.values()),
                deviation=statistics.stdev(values.values()) if len(values) > 1 else None,
                **compare(values, baseline),
            )
            rows.append({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()})
    return rows


def compare(values: dict[int, float], baseline: dict[int, float]) -> dict[str, float | None]:
    """Return the mean difference of two sets of runs, seed by seed, and half of its interval."""
    pairs = [(values[seed], baseline[seed]) for seed in sorted(values.keys() & baseline.keys())]
    interval = None
    if len(pairs) > 1:
        low, high = ttest_rel(*zip(*pairs, strict=True)).confidence_interval(0.95)
        interval = float(high - low) / 2
    difference = statistics.mean(value - other for value, other in pairs) if pairs else None
    return dict(difference=difference, interval=interval)


def printed(row: dict[str, Any]) -> dict[str, Any]:
    """Return what the terminal shows of a row of :func:`summarize`."""
    shown = {**row, 'seeds': len(row['values'])}
    order = ('task', 'size', 'metric', 'attention', 'seeds', 'mean', 'deviation')
    return {
        key: '-' if shown[key] is None else shown[key] for key in (*order, 'difference', 'interval')
    }


def plot(rows: Sequence[dict[str, Any]], file: Path) -> None:
    """Draw every run, and mean and deviation of an attention: a panel for each size and metric."""
    from matplotlib.figure import Figure

    panels: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for row in rows:
        panels.setdefault((row['size'], METRICS.index(row['metric'])), []).append(row)
    columns = min(len(panels), COLUMNS)
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(2.4 * columns, 2.6 * lines), layout='constrained')
    for number, key in enumerate(sorted(panels), start=1):
        axis, panel = figure.add_subplot(lines, columns, number), panels[key]
        for place, row in enumerate(panel):
            values = list(row['values'].values())
            axis.plot([place] * len(values), values, '.', color='0.7')
            axis.errorbar(place + 0.2, row['mean'], row['deviation'], fmt='C0o', capsize=4)
        names = [row['attention'] for row in panel]
        axis.set_xticks(range(len(names)), names, rotation=30, ha='right')
        title = panel[0]['metric'].rpartition('/')[-1]
        axis.set_title(f'{title}, {panel[0]["size"]} px', fontsize=9)
        axis.margins(x=0.2)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    with usage_errors():
        check_options(args)
        perform_all(args)
    runs = load_results(args.work_dir)
    rows = summarize(runs)
    print_table([printed(row) for row in rows], 'DigitScenes, in percent')
    if args.plot:
        plot(rows, args.plot)
    if args.out:
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
        write_record(args.out, argparse.Namespace(device=device), rows)


if __name__ == '__main__':
    main()
