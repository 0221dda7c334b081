# ruff: noqa: E402
"""Compare window attention and VSA on DigitScenes: detection and segmentation, by object size.

Every run is the quickstart of its task with the attention of the backbone exchanged, the same
schedule and the same seed on both sides; each starts from the classifier of its attention (one for
all seeds), trained on the crops of the training scenes. Finished runs are kept in --work-dir and
not repeated: the command goes on where it was stopped, and several may work side by side on
different --seeds when the classifiers are there. It ends with a table and a plot of all runs found:

    python tools/analysis_tools/compare_attention.py --seeds 0 1 2 --out docs/results
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# For the training runs, too: others may start beside them at any time.
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')

import torch
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope

from mmvsa.analysis.comparison import precision_by_size, recall_by_size, window_motion
from mmvsa.analysis.comparison_report import write_report
from mmvsa.analysis.machine import describe_machine
from mmvsa.models import load_pretrained
from mmvsa.utils import load_config

ROOT = Path(__file__).resolve().parents[2]
CLASSIFIER = 'vitaev2-vsa-nano_digit-scenes'
CONFIGS = {
    'detection': 'mask-rcnn_vitaev2-vsa-nano_digit-scenes',
    'segmentation': 'fcn_vitaev2-vsa-nano_digit-scenes',
}
ATTENTIONS = ('window', 'vsa')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--tasks', nargs='+', choices=list(CONFIGS), default=list(CONFIGS))
    parser.add_argument('--attentions', nargs='+', choices=ATTENTIONS, default=list(ATTENTIONS))
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/compare_attention'))
    parser.add_argument('--out', type=Path, help='folder of the table, the plot and the figures')
    parser.add_argument('--data-root', help='folder of DigitScenes, written there on first use')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help="override the task's config, as in tools/train.py",
    )
    parser.add_argument(
        '--classifier-options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help="override the classifier's config",
    )
    return parser.parse_args(argv)


def main() -> None:
    args = parse_args()
    for seed in args.seeds:
        for attention in args.attentions:
            for task in args.tasks:
                run(task, attention, seed, args)
    runs = [json.loads(path.read_text()) for path in sorted(args.work_dir.glob('*/result.json'))]
    if args.out:
        write_report(args.out, runs)


def run(task: str, attention: str, seed: int, args: argparse.Namespace) -> None:
    """Train and test one model and write its ``result.json``, unless it is there."""
    folder = args.work_dir / f'{task}_{attention}_seed{seed}'
    if (folder / 'result.json').is_file():
        return
    data = {'data_root': args.data_root} if args.data_root else {}
    start = train(
        CLASSIFIER,
        attention,
        0,
        args.work_dir / f'classifier_{attention}',
        {**data, **args.classifier_options},
    )
    options = {**data, **args.cfg_options, 'model.backbone.init_cfg.checkpoint': str(start)}
    checkpoint = train(CONFIGS[task], attention, seed, folder, options)
    config = folder / 'config.py'
    cfg = load_config(config)
    figures = TESTS[task](config, cfg, checkpoint, folder)
    curve = validation_curve(folder)
    if 'mIoU' in curve:
        figures['mIoU'] = {'all': curve['mIoU'][-1][1] / 100}
    result = {
        'task': task,
        'attention': attention,
        'seed': seed,
        'options': args.cfg_options,
        'machine': describe_machine(torch.device('cpu')),
        'curve': curve,
        **figures,
        **model_figures(cfg, checkpoint),
    }
    temporary = folder / 'result.json.part'
    temporary.write_text(json.dumps(result, indent=2) + '\n')
    temporary.replace(folder / 'result.json')


def train(name: str, attention: str, seed: int, folder: Path, options: dict[str, Any]) -> Path:
    """Path of the last checkpoint of a training, which is done if it is not there yet."""
    config, last = folder / 'config.py', folder / 'last_checkpoint'
    if not (folder / 'finished').is_file():
        folder.mkdir(parents=True, exist_ok=True)
        cfg = load_config(ROOT / f'configs/quickstart/{name}.py', options)
        cfg.randomness.seed = seed
        arch = cfg.model.backbone.arch
        # In ViTAEv2 it comes with VSA; here both have it, so that the windows alone differ.
        arch.position_conv = True
        arch.rc_attention = arch.nc_attention = (attention,) * len(arch.depths)
        cfg.dump(config)
        tool('train', config, '--work-dir', folder)
        (folder / 'finished').touch()
    return Path(last.read_text().strip())


def tool(name: str, *args: object) -> None:
    command = [sys.executable, str(ROOT / f'tools/{name}.py'), *map(str, args)]
    print('$', *command, flush=True)
    subprocess.run(command, check=True, env={**os.environ, 'PYTHONPATH': str(ROOT)})


def test_detection(config: Path, cfg: Config, checkpoint: Path, folder: Path) -> dict[str, Any]:
    prefix = folder / 'found'
    option = f'test_evaluator.outfile_prefix={prefix}'
    tool('test', config, checkpoint, '--work-dir', folder, '--cfg-options', option)
    annotations = Path(cfg.test_evaluator.ann_file)
    return {
        'box AP': precision_by_size(annotations, Path(f'{prefix}.bbox.json'), 'bbox'),
        'mask AP': precision_by_size(annotations, Path(f'{prefix}.segm.json'), 'segm'),
    }


def test_segmentation(config: Path, cfg: Config, checkpoint: Path, folder: Path) -> dict[str, Any]:
    maps = folder / 'maps'
    option = f'test_evaluator.output_dir={maps}'
    tool('test', config, checkpoint, '--work-dir', folder, '--cfg-options', option)
    annotations = Path(cfg.data_root) / 'annotations/instances_val.json'
    return {'pixel recall': recall_by_size(annotations, maps)}


TESTS = {'detection': test_detection, 'segmentation': test_segmentation}


def validation_curve(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Metric -> (epoch, value) of every validation, from the scalars that the run logged."""
    curve: dict[str, dict[int, float]] = {}
    # One folder for each time the run was started, the latest last.
    for path in sorted(folder.glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            for key in ('coco/bbox_mAP', 'coco/segm_mAP', 'mIoU'):
                if key in record:
                    curve.setdefault(key, {})[record['step']] = record[key]
    return {key: sorted(points.items()) for key, points in curve.items()}


def model_figures(cfg: Config, checkpoint: Path, images: int = 20) -> dict[str, Any]:
    """Parameters, and how far the windows of the trained model move on validation images."""
    from mmengine.dataset import pseudo_collate
    from mmengine.registry import DATASETS, MODELS

    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model).eval()
    load_pretrained(model, checkpoint)
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    batches = (pseudo_collate([dataset[index]]) for index in range(min(images, len(dataset))))
    inputs = (model.data_preprocessor(batch, False)['inputs'] for batch in batches)
    return {
        'parameters': sum(parameter.numel() for parameter in model.parameters()),
        'windows': window_motion(model.backbone, inputs),
    }


if __name__ == '__main__':
    main()
