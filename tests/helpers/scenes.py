"""DigitScenes small enough for a test, and the quickstart configs on them."""

from pathlib import Path

from mmengine.config import Config

from helpers.cli import ROOT
from mmvsa.datasets.digit_scenes import DIGIT_SCENES, SceneSettings
from mmvsa.utils import load_config, use_data_root

SETTINGS = SceneSettings(num=8, num_val=4, size=96)
CLASSIFICATION = ROOT / 'configs/quickstart/vitaev2-vsa-nano_digit-scenes.py'
DETECTION = ROOT / 'configs/quickstart/mask-rcnn_vitaev2-vsa-nano_digit-scenes.py'
SEGMENTATION = ROOT / 'configs/quickstart/fcn_vitaev2-vsa-nano_digit-scenes.py'


def write_tiny_scenes(folder: Path) -> Path:
    """8 + 4 scenes of 96 pixels in ``folder/digit_scenes``."""
    return DIGIT_SCENES.ensure(folder / 'digit_scenes', SETTINGS)


def tiny_config(path: Path, root: Path) -> Config:
    """A quickstart's config on the scenes in ``root``, from scratch."""
    cfg = load_config(path)
    cfg.model.backbone.init_cfg = None
    use_data_root(cfg, str(root))
    return cfg
