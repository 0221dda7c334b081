"""Data sets and transforms.

The data sets build on mmpretrain's; detection and segmentation need no mmpretrain.
"""

from mmengine.utils import is_installed

from .held_out import held_out_indices
from .matte_scenes import MatteScenes
from .matting import P3M10K, MattingDataset
from .transforms import LoadImage

__all__ = ['P3M10K', 'LoadImage', 'MatteScenes', 'MattingDataset', 'held_out_indices']

if is_installed('mmpretrain'):
    from .digits import Digits
    from .folder import FolderSplit, class_folders

    __all__ += ['Digits', 'FolderSplit', 'class_folders']
