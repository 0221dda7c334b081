"""Outputs of the authors' code (tests/data/reference) and the parameters they were made with.

No weights are shipped: every tensor of the authors' state dict is filled from its own key name.
"""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

ROOT = Path(__file__).parent / 'data' / 'reference'


def _rng(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def fill(key: str, shape: list[int]) -> Tensor:
    """The tensor that the reference was made with for a key of the authors' state dict."""
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
    """``num_params``, ``state_dict`` (keys and shapes) and more of a reference."""
    return json.loads((ROOT / f'{name}.json').read_text())


def arrays(name: str) -> dict[str, Tensor]:
    with np.load(ROOT / f'{name}.npz') as stored:
        return {key: torch.from_numpy(stored[key]) for key in stored.files}


def state_dict(name: str) -> dict[str, Tensor]:
    """The authors' state dict of a reference."""
    return {key: fill(key, shape) for key, shape in describe(name)['state_dict']}


def image(n: int, h: int, w: int) -> Tensor:
    return torch.from_numpy(_rng(0).standard_normal((n, 3, h, w)).astype(np.float32))


def normal(seed: int, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(_rng(seed).standard_normal(shape).astype(np.float32))


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    """max |difference| / max |reference|."""
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def bit_state_dict() -> dict[str, Tensor]:
    """The official state dict of ``BIT_ViTAEv2_S``."""
    info = describe('BIT_ViTAEv2_S')
    tensors = {key: fill(key, shape) for key, shape in info['state_dict']}
    for key, factor in info['factors'].items():
        tensors[key] = tensors[key] * factor
    return tensors


def bit_inputs() -> tuple[Tensor, ...]:
    """The two images of ``BIT_ViTAEv2_S``."""
    info = describe('BIT_ViTAEv2_S')
    return tuple(normal(seed, tuple(info['input'])) for seed in info['seeds'])
