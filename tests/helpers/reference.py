"""Outputs of the official implementations (tests/data/reference) and their parameters.

No weights are shipped: every tensor of an official state dict is filled from its own key name.
"""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

ROOT = Path(__file__).parents[1] / 'data' / 'reference'


def _rng(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def fill(key: str, shape: list[int]) -> Tensor:
    """Return the tensor of a reference for a key of the official state dict."""
    noise = _rng(zlib.crc32(key.encode())).standard_normal(tuple(shape)).astype(np.float32)
    return torch.from_numpy(np.asarray(_scale(key, noise, shape), dtype=np.float32))


def _scale(key: str, noise: np.ndarray, shape: list[int]) -> np.ndarray:
    last = key.rsplit('.', 1)[-1]
    fan_in = np.sqrt(np.prod(shape[1:]))
    if last == 'running_mean':
        return 0.1 * noise
    if last == 'running_var':
        return 1 + 0.1 * np.abs(noise)
    if 'sampling_' in key or '.transform.' in key:  # the windows really vary
        return 0.3 * noise if last == 'bias' else noise / fan_in
    if last == 'bias':
        return 0.02 * noise
    if len(shape) == 1:
        return 1 + 0.1 * noise
    if (
        'relative_position_bias_table' in key
        or 'rel_pos_' in key
        or last in ('cls_token', 'pos_embed')
    ):
        return 0.2 * noise
    return noise / fan_in


def describe(name: str) -> dict[str, Any]:
    """Return ``num_params``, ``state_dict`` (keys and shapes) and more of a reference.

    ``keys_of`` names another reference, whose keys and shapes come before those of this one.
    """
    info = json.loads((ROOT / f'{name}.json').read_text())
    if 'keys_of' in info:
        info['state_dict'] = describe(info['keys_of'])['state_dict'] + info['state_dict']
    return info


def arrays(name: str) -> dict[str, Tensor]:
    with np.load(ROOT / f'{name}.npz') as stored:
        return {key: torch.from_numpy(stored[key]) for key in stored.files}


def state_dict(name: str) -> dict[str, Tensor]:
    """Return the official state dict of a reference, each tensor times its factor, if any."""
    info = describe(name)
    factors = info.get('factors', {})
    return {key: fill(key, shape) * factors.get(key, 1) for key, shape in info['state_dict']}


def image(n: int, h: int, w: int) -> Tensor:
    return normal(0, (n, 3, h, w))


def normal(seed: int, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(_rng(seed).standard_normal(shape).astype(np.float32))


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """Return max |difference| / max |reference|."""
    return ((actual - expected).abs().max() / expected.abs().max()).item()


def sampled_error(feature: Tensor, expected: dict[str, Any]) -> float:
    """Return the relative error of a feature map at the sampled places of a reference."""
    assert list(feature.shape) == expected['shape']
    values = feature.flatten()[expected['index']]
    return relative_error(values, torch.tensor(expected['value']))
