"""Figures by object size, worked out by hand; a comparison from end to end on tiny scenes."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from cli import run_command
from scenes import SETTINGS, write_tiny_scenes

from mmvsa.analysis.comparison import (
    precision_by_size,
    recall_by_size,
    size_class,
    summarise,
    window_motion,
)
from mmvsa.analysis.comparison_report import markdown
from mmvsa.datasets.digit_scenes import encode_rle
from mmvsa.models import ViTAEv2

BOXES = {1: (4, 4, 10, 10), 2: (30, 30, 40, 40), 3: (10, 80, 60, 60)}  # small, medium, large


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """One image, a digit 0 of each size; the masks fill half of their boxes."""
    annotations = []
    for identity, box in BOXES.items():
        mask = box_mask(box)
        annotations.append(
            dict(id=identity, image_id=0, category_id=0, bbox=box, iscrowd=0)
            | dict(area=int(mask.sum()), segmentation=encode_rle(mask))
        )
    images = [dict(id=0, file_name='000000.png', height=160, width=160)]
    path = tmp_path / 'truth.json'
    categories = [dict(id=0, name='0')]
    path.write_text(json.dumps(dict(images=images, annotations=annotations, categories=categories)))
    return path


def box_mask(box: tuple[int, int, int, int]) -> np.ndarray:
    x, y, width, height = box
    mask = np.zeros((160, 160), bool)
    mask[y : y + height, x : x + width // 2] = True
    return mask


def test_size_class() -> None:
    assert [size_class(box) for box in BOXES.values()] == ['small', 'medium', 'large']
    assert size_class((0, 0, 24, 24)) == 'medium'  # the lower end belongs to the class


def test_precision_by_size(truth: Path, tmp_path: Path) -> None:
    """The small one is missed, the medium one found, the large one is half the box: IoU 0.5."""
    found = [
        dict(image_id=0, category_id=0, score=0.9, bbox=BOXES[2]),
        dict(image_id=0, category_id=0, score=0.8, bbox=(10, 80, 60, 30)),
    ]
    path = tmp_path / 'found.json'
    path.write_text(json.dumps(found))
    precision = precision_by_size(truth, path)
    assert precision['small'] == 0
    assert precision['medium'] == pytest.approx(1)
    # Right at the first of the ten thresholds only.
    assert precision['large'] == pytest.approx(0.1)
    # A third found at every threshold (34 of the 101 points of recall), another third at one.
    assert precision['all'] == pytest.approx((0.9 * 34 + 0.1 * 67) / 101)


def test_no_result_has_precision_0(truth: Path, tmp_path: Path) -> None:
    (tmp_path / 'none.json').write_text('[]')
    assert set(precision_by_size(truth, tmp_path / 'none.json').values()) == {0.0}


def test_recall_by_size(truth: Path, tmp_path: Path) -> None:
    labels = np.zeros((160, 160), np.uint8)
    labels[box_mask(BOXES[2])] = 1
    labels[box_mask(BOXES[3])] = 1
    labels[110:140] = 2  # the lower half of the large one
    cv2.imwrite(str(tmp_path / '000000.png'), labels)
    recall = recall_by_size(truth, tmp_path)
    pixels = {'small': 50, 'medium': 800, 'large': 1800}
    assert recall == pytest.approx(
        {'small': 0, 'medium': 1, 'large': 0.5, 'all': (800 + 900) / sum(pixels.values())}
    )


def test_a_missing_map_is_named(truth: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'000000\.png'):
        recall_by_size(truth, tmp_path / 'maps')


def test_window_motion() -> None:
    arch = dict(
        embed_dims=(4,),
        token_dims=(8,),
        depths=(1,),
        num_heads=(2,),
        rc_heads=(2,),
        rc_attention=('window',),
        nc_attention=('vsa',),
        nc_groups=(1,),
        rc_groups=(1,),
        window_size=4,
    )
    model = ViTAEv2(arch, out_indices=(0,))
    images = [torch.randn(1, 3, 64, 64)]
    (name, fresh), *others = window_motion(model, images).items()
    assert name == 'stages.0.blocks.0.attn' and not others
    assert fresh == pytest.approx({'shift': 0, 'scale': 1, 'spread': 0}, abs=1e-5)
    with torch.no_grad():
        # Of both heads the scale only, by the same prediction.
        bias = model.stages[0].blocks[0].attn.transform.regressor.bias
        bias.view(2, 4)[:, 2:] = 0.5
    moved = window_motion(model, images)[name]
    assert moved == pytest.approx({'shift': 0, 'scale': 1.5, 'spread': 0}, abs=1e-4)


def test_summarise() -> None:
    runs = [{'f': {'all': 0.5}}, {'f': {'all': 0.7}}]
    mean, deviation, count = summarise(runs, 'f')['all']
    assert (mean, count) == (pytest.approx(0.6), 2)
    assert deviation == pytest.approx(0.02**0.5)  # of a sample


def test_the_command(tmp_path: Path) -> None:
    """Both attentions of one task: trained, tested, tabulated; finished runs are not repeated."""
    root, work, out = write_tiny_scenes(tmp_path), tmp_path / 'work', tmp_path / 'results'
    assert SETTINGS.num == 8
    options = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1']
    options += ['train_dataloader.num_workers=0']
    options += ['train_dataloader.persistent_workers=False']
    command = [
        sys.executable,
        'tools/analysis_tools/compare_attention.py',
        *('--tasks', 'segmentation', '--seeds', '0', '--work-dir', work, '--out', out),
        *('--data-root', root, '--cfg-options', *options),
        *('--classifier-options', *options),
    ]
    output = run_command(*command)
    assert '| segmentation | pixel recall | vsa | 1 |' in output
    runs = json.loads((out / 'attention_digit-scenes.json').read_text())
    assert [run['attention'] for run in runs] == ['vsa', 'window']
    vsa, window = runs
    assert [epoch for epoch, _ in vsa['curve']['mIoU']] == [1]
    assert abs(vsa['parameters'] / window['parameters'] - 1) < 0.02
    assert vsa['windows'] and not window['windows']
    assert (out / 'attention_digit-scenes.png').stat().st_size > 10_000
    assert '$' not in run_command(*command)  # no training, the same table
    assert markdown(runs) in output
