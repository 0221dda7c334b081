"""A model whose windows vary, and what they do on an image."""

from functools import cache

import numpy as np
import torch

from helpers.archs import build, with_regressors
from mmvsa.visualization import AttentionWindows, collect_windows


@cache
def varied_layers(height: int = 96, width: int = 128) -> list[AttentionWindows]:
    """Return the windows of a tiny QFormer with random regressors, with their weights."""
    model = with_regressors(build('qformer'))
    torch.manual_seed(1)
    return collect_windows(model, torch.randn(1, 3, height, width), weights=True)


def noise(height: int = 96, width: int = 128) -> np.ndarray:
    """Return an image in RGB."""
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
