"""Configs, checkpoints and options of 0.1.0, written by its code, still give the same results.

tests/data/legacy/README.md says how the files were made.
"""

import json
import lzma
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.cli import run_tool
from helpers.reference import fill, image, relative_error
from mmengine.config import Config
from torch import Tensor

from mmvsa.registry import MODELS
from mmvsa.utils import load_config

LEGACY = Path(__file__).parent / 'data' / 'legacy'
DIGITS = LEGACY / 'vitaev2-vsa-nano_digits.py'
SCENES = LEGACY / 'fcn_vitaev2-vsa-nano_digit-scenes.py'
BACKBONES = {
    name: config
    for name, config in Config.fromfile(LEGACY / 'backbones.py').items()
    if 'type' in config
}
EXPECTED = np.load(LEGACY / 'expected.npz')
STATE_DICTS: dict[str, dict[str, list[int]]] = json.loads(str(EXPECTED['state_dicts']))


def unpack(name: str, folder: Path) -> Path:
    """Write a checkpoint of the data folder, which are compressed there, to ``folder``."""
    path = folder / name
    path.write_bytes(lzma.decompress((LEGACY / f'{name}.xz').read_bytes()))
    return path


def run_test(config: Path, checkpoint: Path, folder: Path, *options: str) -> list[dict[str, Any]]:
    """Run tools/test.py and return its predictions."""
    out = folder / 'predictions.pkl'
    run_tool('test', config, checkpoint, '--work-dir', folder, '--out', out, *options)
    with out.open('rb') as file:
        return pickle.load(file)


@pytest.mark.parametrize('name', BACKBONES)
def test_backbone_options(name: str) -> None:
    """Weights are filled by their old keys, as they were for the expected outputs."""
    backbone = MODELS.build(BACKBONES[name]).eval()
    weights = {key: fill(key, shape) for key, shape in STATE_DICTS[name].items()}
    result = backbone.load_state_dict(weights, strict=False)
    assert not result.unexpected_keys
    assert not [key for key in result.missing_keys if not key.endswith('num_batches_tracked')]
    with torch.no_grad():
        outputs = backbone(image(1, 40, 56))
    for index, output in enumerate(outputs):
        expected = torch.from_numpy(EXPECTED[f'{name}.{index}'])
        assert relative_error(output[:, ::4], expected) < 1e-4


def test_classifier_work_dir(tmp_path: Path) -> None:
    """A training checkpoint, with optimizer and message hub, and the config of its work dir."""
    checkpoint = unpack('epoch_1.pth', tmp_path)
    assert {'optimizer', 'message_hub', 'param_schedulers'} <= torch_keys(checkpoint)
    samples = run_test(DIGITS, checkpoint, tmp_path)
    scores = torch.stack([sample['pred_score'] for sample in samples])
    expected = torch.from_numpy(EXPECTED['digits'])
    torch.testing.assert_close(scores, expected, rtol=1e-3, atol=1e-4)
    assert accuracy(scores, samples) == pytest.approx(287 / 360)


def torch_keys(path: Path) -> set[str]:
    return set(torch.load(path, map_location='cpu', weights_only=False))


def accuracy(scores: Tensor, samples: list[dict[str, Any]]) -> float:
    labels = torch.cat([sample['gt_label'] for sample in samples])
    return (scores.argmax(1) == labels).float().mean().item()


def test_segmentor_work_dir(tmp_path: Path) -> None:
    checkpoint = unpack('epoch_300.pth', tmp_path)
    root = LEGACY / 'digit_scenes'
    samples = run_test(SCENES, checkpoint, tmp_path, '--cfg-options', f'data_root={root}')
    found = torch.stack([sample['pred_sem_seg']['data'][0] for sample in samples])
    expected = torch.from_numpy(EXPECTED['scenes'])
    assert found.shape == expected.shape
    assert (found != expected).float().mean() < 1e-3  # pixels between two classes
    assert expected.unique().numel() > 3


def test_old_options_are_named_once(capsys: pytest.CaptureFixture) -> None:
    cfg = load_config(SCENES)
    warnings = [line for line in capsys.readouterr().err.splitlines() if 'earlier mmvsa' in line]
    for name in ('keep_activations', 'mmvsa.Muon', 'Merged', 'PrepareDigitScenesHook'):
        assert sum(name in line for line in warnings) == 1, name
    assert len(warnings) == 4
    assert 'keep_activations' not in cfg.model.backbone
    assert cfg.optim_wrapper.optimizer.type == 'AdamW'
    assert 'constructor' not in cfg.optim_wrapper
    assert cfg.custom_hooks == []
