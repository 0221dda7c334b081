"""What ``tools/test.py`` adds to a config; each host package has its own options for it."""

import copy
import os
from typing import Any

import mmengine
import numpy as np
from mmengine.config import Config, ConfigDict
from mmengine.evaluator import DumpResults
from mmengine.runner import Runner
from torch import Tensor

from .errors import UsageError
from .runner import run

PICKLES = ('.pkl', '.pickle')


def use_show_dir(cfg: Config, show_dir: str) -> None:
    """Write drawn predictions to ``show_dir``, one file per image."""
    show_dir = os.path.abspath(show_dir)  # mmdet puts a relative one into another folder each batch
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise UsageError('--show-dir needs default_hooks.visualization in the config')
    hook.interval = 1  # every image
    scope = cfg.get('default_scope')
    if scope in ('mmpretrain', 'mmpose'):
        hook.update(enable=True, out_dir=show_dir)
    elif scope == 'mmseg':
        hook.draw = True
        cfg.visualizer.save_dir = show_dir
    else:
        hook.update(draw=True, test_out_dir=show_dir)


def use_tta(cfg: Config) -> None:
    """Test-time augmentation by the config's recipe; classifiers have one: the mirrored image.

    Raises:
        UsageError: the config has no recipe.
    """
    if cfg.get('default_scope') == 'mmpretrain':
        cfg.setdefault('tta_model', dict(type='mmpretrain.AverageClsScoreTTA'))
        cfg.setdefault('tta_pipeline', _flip_pipeline(cfg.test_dataloader.dataset.pipeline))
    if 'tta_model' not in cfg or 'tta_pipeline' not in cfg:
        raise UsageError('--tta needs tta_model and tta_pipeline in the config')
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline


def _flip_pipeline(pipeline: list[dict]) -> list[dict]:
    """The pipeline with its last step (packing) done for the image and for its mirror image."""
    *steps, pack = copy.deepcopy(pipeline)
    flips = [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)]
    return [*steps, dict(type='TestTimeAug', transforms=[flips, [pack]])]


def keep_predictions(runner: Runner, path: str) -> None:
    """Let the evaluator pickle all predictions to ``path``."""
    dump: type = DumpResults
    if runner.cfg.get('default_scope') in ('mmdet', 'mmrotate'):
        from mmdet.evaluation import DumpDetResults

        dump = DumpDetResults  # encodes masks
    runner.test_evaluator.metrics.append(dump(out_file_path=path))


def write_results(runner: Runner, out: str | None) -> dict[str, Any]:
    """Test; ``out`` is a ``.pkl`` file for the predictions or a ``.json`` file for the metrics.

    Raises:
        UsageError: another suffix.
    """
    if out is not None and not out.endswith((*PICKLES, '.json')):
        raise UsageError(f'--out must end with .pkl (predictions) or .json (metrics), got {out}')
    if out is not None and out.endswith(PICKLES):
        keep_predictions(runner, out)
    metrics = run(runner, 'test')
    if out is not None and out.endswith('.json'):
        mmengine.dump(plain_values(metrics), out)
    return metrics


def plain_values(value: Any) -> Any:
    """Return metrics as JSON has them: tensors and arrays as numbers or lists."""
    if isinstance(value, dict):
        return {str(key): plain_values(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_values(item) for item in value]
    if isinstance(value, (Tensor, np.ndarray, np.generic)):
        return value.tolist()
    if value is None or isinstance(value, (str, int, float)):
        return value
    return str(value)
