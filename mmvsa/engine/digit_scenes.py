"""DigitScenes on first use."""

import os
from typing import Any

from mmengine.dist import barrier
from mmengine.hooks import Hook

from mmvsa.datasets.digit_scenes import SceneSettings, ensure_digit_scenes
from mmvsa.registry import HOOKS


@HOOKS.register_module()
class PrepareDigitScenesHook(Hook):
    """Write DigitScenes to ``data_root`` unless they are there.

    It does so when it is built: MMEngine's Runner builds its hooks before it opens any data
    set, in training and in testing, whichever package's tool has made the runner.

    Args:
        data_root: folder of the scenes.
        settings: those of :class:`~mmvsa.datasets.digit_scenes.SceneSettings`.
    """

    def __init__(self, data_root: str = 'data/digit_scenes', **settings: Any) -> None:
        # One process per machine writes: the folder may be on a local disk.
        if int(os.environ.get('LOCAL_RANK', 0)) == 0:
            ensure_digit_scenes(data_root, SceneSettings(**settings))
        barrier()
