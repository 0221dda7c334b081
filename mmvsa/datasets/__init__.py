"""Datasets and transforms.

Digits, FewShot, FolderSplit and SceneList build on mmpretrain's datasets; the others need no host
package.
"""

from mmengine.utils import is_installed

from .digit_scenes_datasets import (
    DigitScenesClassification,
    DigitScenesDetection,
    DigitScenesSegmentation,
)
from .errors import DatasetError
from .held_out import held_out_indices
from .matte_scenes import MatteScenes
from .matting import P3M10K, MattingDataset
from .transforms import LoadImage

__all__ = [
    'P3M10K',
    'DatasetError',
    'DigitScenesClassification',
    'DigitScenesDetection',
    'DigitScenesSegmentation',
    'LoadImage',
    'MatteScenes',
    'MattingDataset',
    'held_out_indices',
]

if is_installed('mmpretrain'):
    from .digits import Digits
    from .few_shot import few_shot
    from .folder import FolderSplit, class_folders
    from .scene_list import SceneList

    __all__ += ['Digits', 'FolderSplit', 'SceneList', 'class_folders', 'few_shot']
