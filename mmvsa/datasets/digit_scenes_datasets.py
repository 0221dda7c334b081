"""DigitScenes as datasets for mmdet, mmseg and mmpretrain, generated at load.

They build on MMEngine's dataset alone: the samples are dicts as the transforms of the host package
take them, so that importing this module imports none of the three.
"""

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset

from mmvsa.registry import DATASETS

from .digit_scenes import CLASSES, DIGIT_SCENES, SPLITS, SceneSettings

_PALETTE = (
    (230, 25, 75),
    (60, 180, 75),
    (255, 225, 25),
    (0, 130, 200),
    (245, 130, 48),
    (145, 30, 180),
    (70, 240, 240),
    (240, 50, 230),
    (210, 245, 60),
    (250, 190, 212),
)


class _DigitScenes(BaseDataset, ABC):
    """Write the scenes on first use, as mmpretrain's ``MNIST`` downloads its files.

    Args:
        data_root: Folder of the scenes.
        split: ``'train'`` or ``'val'``.
        settings: Those of :class:`~mmvsa.datasets.digit_scenes.SceneSettings`; a folder with scenes
            of others is an error. None takes any scenes that are there.
        kwargs: Those of :class:`mmengine.dataset.BaseDataset`, such as ``pipeline``.

    Raises:
        ValueError: An unknown split or a wrong setting.
        DatasetError: The folder holds scenes of other settings, or something else.
    """

    METAINFO: dict[str, Any] = dict(classes=CLASSES)
    # The tools do not ask for the folder before it is written.
    generates = True

    def __init__(
        self,
        data_root: str = 'data/digit_scenes',
        split: str = 'train',
        *,
        settings: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f'split must be one of {SPLITS}, got {split!r}')
        self.split = split
        self.settings = None if settings is None else SceneSettings(**settings)
        super().__init__(data_root=data_root, data_prefix={}, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Generate the scenes where they are missing, and return a dict for each sample."""
        DIGIT_SCENES.ensure_on_machine(self.data_root, self.settings)
        return self._read(Path(self.data_root))

    @abstractmethod
    def _read(self, root: Path) -> list[dict[str, Any]]:
        """Return a dict for each sample of the split; the scenes are there."""


@DATASETS.register_module()
class DigitScenesDetection(_DigitScenes):
    """Scenes with boxes and masks of their digits, for mmdet's transforms.

    The samples are those of mmdet's ``CocoDataset`` on the same files.
    """

    # A list: mmdet takes a tuple for one color of all classes.
    METAINFO = dict(classes=CLASSES, palette=list(_PALETTE))

    def _read(self, root: Path) -> list[dict[str, Any]]:
        content = json.loads((root / f'annotations/instances_{self.split}.json').read_text())
        samples = {
            image['id']: dict(
                img_path=str(root / 'images' / self.split / image['file_name']),
                img_id=image['id'],
                height=image['height'],
                width=image['width'],
                instances=[],
            )
            for image in content['images']
        }
        for annotation in content['annotations']:
            x, y, width, height = annotation['bbox']
            instance = dict(
                bbox=[x, y, x + width, y + height],
                bbox_label=annotation['category_id'],
                ignore_flag=annotation['iscrowd'],
                mask=annotation['segmentation'],
            )
            samples[annotation['image_id']]['instances'].append(instance)
        return list(samples.values())

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the classes of the digits of a scene, for class-balanced sampling."""
        return [instance['bbox_label'] for instance in self.get_data_info(idx)['instances']]


@DATASETS.register_module()
class DigitScenesSegmentation(_DigitScenes):
    """Scenes with the class of every pixel, for mmseg's transforms."""

    METAINFO = dict(classes=('background', *CLASSES), palette=[(0, 0, 0), *_PALETTE])

    def _read(self, root: Path) -> list[dict[str, Any]]:
        return [
            dict(
                img_path=str(path),
                seg_map_path=str(root / 'semantic' / self.split / path.name),
                label_map=None,
                reduce_zero_label=False,
                seg_fields=[],
            )
            for path in sorted((root / 'images' / self.split).glob('*.png'))
        ]


@DATASETS.register_module()
class DigitScenesClassification(_DigitScenes):
    """Crops around the digits of the scenes, for mmpretrain's transforms."""

    def _read(self, root: Path) -> list[dict[str, Any]]:
        return [
            dict(img_path=str(path), gt_label=label)
            for label, name in enumerate(CLASSES)
            for path in sorted((root / 'classification' / self.split / name).glob('*.png'))
        ]
