"""Train the quickstarts of DigitScenes with different attentions and compare their metrics.

    python tools/benchmarks/compare_attention.py --seeds 0 1 2

Every run is the quickstart of its task with the attention of the backbone exchanged and the same
schedule and seed for all; each starts from the classifier of its attention (one for all seeds),
trained on the crops of the training scenes. Finished runs are kept in --work-dir and not repeated:
the command resumes where it was stopped, and several may run at the same time with different
--seeds once the classifiers are there. It ends with a table of all runs found: mean and standard
deviation over the seeds.
"""

import argparse
import copy
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mmengine
from measure import print_table
from mmengine.config import Config, DictAction

from mmvsa.utils import load_config, usage_errors

ROOT = Path(__file__).resolve().parents[2]
QUICKSTARTS = {
    'classifier': 'vitaev2-vsa-nano_digit-scenes',
    'detection': 'mask-rcnn_vitaev2-vsa-nano_digit-scenes',
    'segmentation': 'fcn_vitaev2-vsa-nano_digit-scenes',
}
ATTENTIONS = ('window', 'vsa')
METRICS = ('coco/bbox_mAP', 'coco/segm_mAP', 'mIoU')
OPTIMIZER = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05),
    # At the full rate windows leave the map for good; there they read zeros.
    paramwise_cfg=dict(custom_keys={'transform.regressor': dict(lr_mult=0.02)}),
    clip_grad=dict(max_norm=5.0),
)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    tasks = [task for task in QUICKSTARTS if task != 'classifier']
    parser.add_argument('--tasks', nargs='+', choices=tasks, default=tasks)
    parser.add_argument('--attentions', nargs='+', choices=ATTENTIONS, default=list(ATTENTIONS))
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/compare_attention'))
    for option in ('--cfg-options', '--classifier-options'):
        parser.add_argument(option, nargs='+', action=DictAction, default={}, metavar='KEY=VALUE')
    return parser.parse_args(argv)


def set_attention(cfg: Config, attention: str) -> None:
    """Put one attention into every stage; all have position convolutions, which come with VSA."""
    arch = cfg.model.backbone.arch
    arch.position_conv = True
    arch.attention = (attention,) * len(arch.depths)


def run(task: str, attention: str, seed: int, args: argparse.Namespace) -> None:
    """Train and test one model and write its ``result.json``, unless it is there."""
    folder = args.work_dir / f'{task}_{attention}_seed{seed}'
    if (folder / 'result.json').is_file():
        return
    start = args.work_dir / f'classifier_{attention}'
    checkpoint = train('classifier', attention, 0, start, args.classifier_options)
    options = {'model.backbone.init_cfg.checkpoint': str(checkpoint), **args.cfg_options}
    checkpoint = train(task, attention, seed, folder, options)
    metrics = folder / 'metrics.json'
    tool('test', folder / 'config.py', checkpoint, '--work-dir', folder, '--out', metrics)
    found = mmengine.load(metrics)
    result = {'task': task, 'attention': attention, 'seed': seed, 'options': args.cfg_options}
    result['metrics'] = {name: found[name] for name in METRICS if name in found}
    part = folder / 'result.json.part'
    mmengine.dump(result, part, file_format='json', indent=1)
    part.replace(folder / 'result.json')


def train(task: str, attention: str, seed: int, folder: Path, options: dict[str, Any]) -> Path:
    """Return the last checkpoint of a training, which runs if it has not finished before."""
    if not (folder / 'finished').is_file():
        folder.mkdir(parents=True, exist_ok=True)
        options = {'optim_wrapper': copy.deepcopy(OPTIMIZER), **options}
        cfg = load_config(ROOT / f'configs/quickstart/{QUICKSTARTS[task]}.py', options)
        set_attention(cfg, attention)
        cfg.randomness.seed = seed
        cfg.dump(folder / 'config.py')
        tool('train', folder / 'config.py', '--work-dir', folder)
        (folder / 'finished').touch()
    return Path((folder / 'last_checkpoint').read_text().strip())


def tool(name: str, *args: object) -> None:
    """Run a tool of this checkout; its failure ends this one."""
    command = [sys.executable, str(ROOT / f'tools/{name}.py'), *map(str, args)]
    print('$', *command, flush=True)
    subprocess.run(command, check=True, env={**os.environ, 'PYTHONPATH': str(ROOT)})


def summarize(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each task, metric and attention: mean and deviation over the seeds."""
    values: dict[tuple[str, str, str], list[float]] = {}
    for result in runs:
        for metric, value in result['metrics'].items():
            values.setdefault((result['task'], metric, result['attention']), []).append(value)
    return [
        {
            'task': task,
            'metric': metric,
            'attention': attention,
            'seeds': len(many),
            'mean': round(statistics.mean(many), 4),
            'deviation': round(statistics.stdev(many), 4) if len(many) > 1 else '-',
        }
        for (task, metric, attention), many in sorted(values.items())
    ]


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    with usage_errors():
        for seed in args.seeds:
            for attention in args.attentions:
                for task in args.tasks:
                    run(task, attention, seed, args)
    runs = [mmengine.load(path) for path in sorted(args.work_dir.glob('*/result.json'))]
    print_table(summarize(runs), 'DigitScenes')


if __name__ == '__main__':
    main()
