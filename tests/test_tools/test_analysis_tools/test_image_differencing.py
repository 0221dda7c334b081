"""The difference of the images as a change detector."""

import pytest
from helpers.cli import ROOT, load_tool
from helpers.pairs import write_dataset
from mmengine.registry import init_default_scope

from mmvsa.utils import load_config

tool = load_tool('analysis_tools/image_differencing')
CONFIG = ROOT / 'configs/change_detection/bit_vitaev2-s_1xb8-200e_levir-256x256.py'


@pytest.fixture
def cfg(tmp_path):
    cfg = load_config(CONFIG, {'data_root': str(write_dataset(tmp_path))})
    init_default_scope('mmseg')
    return cfg


def test_threshold_is_the_best_of_all(cfg):
    dataset = tool.build_dataset(cfg, 'train')
    best = tool.best_threshold(dataset)
    scores = {
        threshold: tool.evaluate(dataset, cfg.test_evaluator, threshold)['change/F1']
        for threshold in (0, best, 40, 120, 254)
    }
    assert scores[best] == max(scores.values())


def test_images_that_differ_in_the_change_alone_are_easy(cfg):
    """The unchanged pixels of these pairs are equal."""
    scores = tool.evaluate(tool.build_dataset(cfg, 'test'), cfg.test_evaluator, 0)
    assert scores['change/precision'] == 100
    assert scores['change/recall'] > 95
