"""What testing adds to a config."""

import json
import os

import numpy as np
import pytest
import torch
from helpers.cli import ROOT
from mmengine.config import Config

from mmvsa.utils import UsageError, load_config, use_show_dir, use_tta, write_results
from mmvsa.utils.testing import plain_values

COCO = ROOT / 'configs/mask_rcnn/mask-rcnn_vitaev2-s-vsa_fpn_ms-1x_coco.py'


def test_tta_needs_a_recipe_outside_classification() -> None:
    cfg = load_config(COCO)
    cfg.pop('tta_model', None)
    with pytest.raises(UsageError, match='tta_pipeline'):
        use_tta(cfg)


def test_tta_of_a_classifier_tests_the_mirrored_image() -> None:
    pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
    cfg = Config(
        dict(
            default_scope='mmpretrain',
            model=dict(type='ImageClassifier'),
            test_dataloader=dict(dataset=dict(pipeline=pipeline)),
        )
    )
    use_tta(cfg)
    load, augment = cfg.test_dataloader.dataset.pipeline
    flips, (pack,) = augment.transforms
    assert [flip.prob for flip in flips] == [0.0, 1.0] and pack.type == 'PackInputs'
    assert cfg.model.module.type == 'ImageClassifier' and load.type == 'LoadImageFromFile'


@pytest.mark.parametrize(
    ('scope', 'option'),
    [('mmpretrain', 'out_dir'), ('mmpose', 'out_dir'), ('mmdet', 'test_out_dir')],
)
def test_show_dir(scope: str, option: str) -> None:
    cfg = Config(dict(default_scope=scope, default_hooks=dict(visualization=dict(type='Hook'))))
    use_show_dir(cfg, 'shown')
    assert cfg.default_hooks.visualization[option] == os.path.abspath('shown')
    assert cfg.default_hooks.visualization.interval == 1


def test_show_dir_of_mmseg_is_the_visualizers() -> None:
    hooks = dict(visualization=dict(type='Hook'))
    cfg = Config(dict(default_scope='mmseg', default_hooks=hooks, visualizer=dict(type='V')))
    use_show_dir(cfg, 'shown')
    assert cfg.visualizer.save_dir == os.path.abspath('shown')
    assert cfg.default_hooks.visualization.draw is True


def test_show_dir_needs_a_hook() -> None:
    with pytest.raises(UsageError, match='default_hooks.visualization'):
        use_show_dir(Config({}), 'shown')


def test_results_need_a_known_suffix() -> None:
    with pytest.raises(UsageError, match=r'\.pkl .* got out\.txt'):
        write_results(None, 'out.txt')  # type: ignore[arg-type]


def test_metrics_become_json() -> None:
    """A confusion matrix is a list."""
    metrics = {
        'accuracy/top1': np.float32(50),
        'confusion_matrix/result': torch.tensor([[3, 1], [0, 2]]),
        'nested': dict(values=(np.arange(2), 1, None)),
        1: 'text',
    }
    assert json.loads(json.dumps(plain_values(metrics))) == {
        'accuracy/top1': 50.0,
        'confusion_matrix/result': [[3, 1], [0, 2]],
        'nested': dict(values=[[0, 1], 1, None]),
        '1': 'text',
    }
