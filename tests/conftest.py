"""Every test starts from the same seed and no default scope, on one thread."""

import functools
import random

import mmengine.config.utils
import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

torch.set_num_threads(1)

# For each base `mmdet::...` MMEngine parses all metafiles of MMDetection; here once a process.
mmengine.config.utils.load = functools.cache(mmengine.config.utils.load)


@pytest.fixture(autouse=True)
def seeded() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def no_default_scope() -> None:
    """MMEngine keeps the scope of the last runner for the whole process."""
    DefaultScope._instance_dict.clear()
