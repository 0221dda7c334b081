"""From a config and a checkpoint to predictions, through the host packages' own inferencers.

Each inferencer has its own arguments, outputs and drawings, and its own rules for checkpoints. A
:class:`Predictor` gives them one form: images in, predictions and drawings out, with weights loaded
by :func:`mmvsa.models.load_complete`.
"""

import copy
import logging
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from torch import Tensor

from mmvsa.models import load_complete
from mmvsa.utils import UsageError, load_config
from mmvsa.utils.config import missing_host

_TOP = 5  # classes of a classifier's answer
_SCORE = 0.3  # boxes and keypoints below it are not drawn


@dataclass(frozen=True)
class Prediction:
    """What a model says about one image.

    Attributes:
        result: As JSON has it.
        picture: The image with the result, (H, W, 3) uint8 in RGB.
        label_map: Class of every pixel, (H, W), of a segmentor: uint8, or uint16 with more than 256
            classes.
    """

    result: dict[str, Any]
    picture: np.ndarray
    label_map: np.ndarray | None = None


class Predictor(ABC):
    """Base of the predictors: one for each host package.

    Args:
        cfg: Of a model that the host package tests; the inferencer changes it.
        device: Of the model; a GPU where there is one by default.
    """

    task: str

    def __init__(self, cfg: Config, device: str | None = None) -> None:
        self.cfg = cfg
        device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
        init_default_scope(cfg.default_scope)
        with _without_warnings():  # of random weights: they are loaded below
            self.inferencer = self.build_inferencer(device)
        self.model: Any = self.inferencer.model

    def load(self, checkpoint: str | os.PathLike) -> 'Predictor':
        """Load the weights of the whole model and the names of its classes.

        Raises:
            mmvsa.models.CheckpointError: The file is unreadable, another model's, or incomplete.
        """
        meta = load_complete(self.model, checkpoint).get('meta') or {}
        names = meta.get('dataset_meta') or _old_meta(meta) or self.config_meta()
        self.use_meta({key.lower(): value for key, value in names.items()})
        return self

    def config_meta(self) -> dict[str, Any]:
        """Return the classes (and colors) of the config's dataset, for files without them."""
        dataset = self.cfg.test_dataloader.dataset
        kind = dataset.type
        if isinstance(kind, str):
            with DATASETS.switch_scope_and_registry(self.cfg.default_scope) as registry:
                kind = registry.get(kind)
        return {**getattr(kind, 'METAINFO', {}), **(dataset.get('metainfo') or {})}

    @torch.no_grad()
    def __call__(self, images: Sequence[np.ndarray]) -> list[Prediction]:
        """Predict a batch of images, (H, W, 3) uint8 in BGR, of any sizes."""
        samples = [
            sample for data in self.batches(images) for sample in self.inferencer.forward(data)
        ]
        pairs = zip(images, samples, strict=True)
        return [self.describe(np.ascontiguousarray(image[..., ::-1]), s) for image, s in pairs]

    def model_inputs(self, images: Sequence[np.ndarray]) -> Tensor:
        """Return what the backbone gets for a batch of images: (B, 3, H, W), normalized."""
        batches = [self.model.data_preprocessor(data, False) for data in self.batches(images)]
        return torch.cat([batch['inputs'] for batch in batches])

    @property
    @abstractmethod
    def classes(self) -> Sequence[str]:
        """Names of the classes."""

    @abstractmethod
    def build_inferencer(self, device: str) -> Any:
        """Return the host package's inferencer, without weights."""

    @abstractmethod
    def use_meta(self, meta: dict[str, Any]) -> None:
        """Take the classes, colors and keypoints of a dataset."""

    def batches(self, images: Sequence[np.ndarray]) -> Iterator[Any]:
        """Yield what the model's data preprocessor takes."""
        yield from self.inferencer.preprocess(list(images), batch_size=len(images))

    @abstractmethod
    def describe(self, image: np.ndarray, sample: Any) -> Prediction:
        """Turn the host package's answer for an image in RGB into a prediction."""

    def name_of(self, label: int) -> str:
        """Return the name of a class."""
        return self.classes[label] if label < len(self.classes) else str(label)

    def draw(self, image: np.ndarray, sample: Any, **options: Any) -> np.ndarray:
        """Draw an answer with the config's visualizer."""
        visualizer = self.inferencer.visualizer
        visualizer.add_datasample('image', image, sample, draw_gt=False, **options)
        return visualizer.get_image()


class Classifier(Predictor):
    """mmpretrain's classifiers."""

    task = 'classification'

    def build_inferencer(self, device: str) -> Any:
        """Return mmpretrain's ``ImageClassificationInferencer``."""
        from mmpretrain import ImageClassificationInferencer

        return ImageClassificationInferencer(self.cfg, pretrained=False, device=device)

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes."""
        return self.inferencer.classes or ()

    def use_meta(self, meta: dict[str, Any]) -> None:
        """Take the classes."""
        self.inferencer.classes = meta.get('classes')

    def describe(self, image: np.ndarray, sample: Any) -> Prediction:
        """Return the best classes."""
        from mmpretrain.visualization import UniversalVisualizer

        scores, labels = sample.pred_score.float().cpu().sort(descending=True)
        best = [
            dict(label=label, name=self.name_of(label), score=score)
            for label, score in zip(labels[:_TOP].tolist(), scores[:_TOP].tolist(), strict=True)
        ]
        # Text on a small image would cover it.
        picture = UniversalVisualizer().visualize_cls(
            image,
            sample,
            classes=self.inferencer.classes,
            draw_gt=False,
            resize=max(224, min(image.shape[:2])),
        )
        return Prediction({**best[0], 'best': best}, picture)


class Detector(Predictor):
    """mmdet's and mmrotate's detectors; boxes are (x1, y1, x2, y2), or (x, y, w, h, radians)."""

    task = 'detection'

    def build_inferencer(self, device: str) -> Any:
        """Return mmdet's ``DetInferencer``; mmrotate has no other."""
        from mmdet.apis import DetInferencer

        return DetInferencer(
            self.cfg, device=device, scope=self.cfg.default_scope, show_progress=False
        )

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes."""
        return self.model.dataset_meta['classes']

    def use_meta(self, meta: dict[str, Any]) -> None:
        """Take the classes and, unless the config's dataset has them, the colors."""
        palette = self.config_meta().get('palette') or meta.get('palette') or 'random'
        self.model.dataset_meta = {**meta, 'palette': palette}
        self.inferencer.visualizer.dataset_meta = self.model.dataset_meta

    def batches(self, images: Sequence[np.ndarray]) -> Iterator[Any]:
        """Yield batches without the images that mmdet draws on."""
        for _, data in super().batches(images):
            yield data

    def describe(self, image: np.ndarray, sample: Any) -> Prediction:
        """Return the boxes, and the masks in COCO's run-length code."""
        found = self.inferencer.pred2dict(sample)
        keys = dict(bbox='bboxes', score='scores', label='labels', mask='masks')
        columns = {key: found[name] for key, name in keys.items() if name in found}
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        instances = [{**row, 'name': self.name_of(row['label'])} for row in rows]
        picture = self.draw(image, sample.cpu(), pred_score_thr=_SCORE)
        return Prediction(dict(instances=instances), picture)


class Segmentor(Predictor):
    """mmseg's segmentors."""

    task = 'segmentation'

    def build_inferencer(self, device: str) -> Any:
        """Return mmseg's ``MMSegInferencer``."""
        from mmseg.apis import MMSegInferencer

        return MMSegInferencer(self.cfg, device=device, show_progress=False)

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes."""
        return self.model.dataset_meta['classes']

    def use_meta(self, meta: dict[str, Any]) -> None:
        """Take the classes and colors."""
        self.model.dataset_meta = {key: meta.get(key) for key in ('classes', 'palette')}
        self.inferencer.visualizer.set_dataset_meta(**self.model.dataset_meta)

    def describe(self, image: np.ndarray, sample: Any) -> Prediction:
        """Return the share of each class, and the class of every pixel."""
        dtype = np.uint8 if len(self.classes) <= 256 else np.uint16
        label_map = sample.pred_sem_seg.data[0].cpu().numpy().astype(dtype)
        labels, counts = np.unique(label_map, return_counts=True)
        pairs = zip(labels.tolist(), counts.tolist(), strict=True)
        shares = {self.name_of(label): count / label_map.size for label, count in pairs}
        return Prediction(dict(shares=shares), self.draw(image, sample.cpu()), label_map)


class PoseEstimator(Predictor):
    """mmpose's top-down estimators; the image is the box of the one person or animal."""

    task = 'pose'

    def build_inferencer(self, device: str) -> Any:
        """Return mmpose's ``Pose2DInferencer``, which predicts one image at a time."""
        from mmpose.apis.inferencers import Pose2DInferencer

        return Pose2DInferencer(self.cfg, device=device, det_model='whole_image')

    @property
    def classes(self) -> Sequence[str]:
        """Names of the keypoints."""
        names = self.model.dataset_meta['keypoint_id2name']
        return [names[index] for index in sorted(names)]

    def config_meta(self) -> dict[str, Any]:
        """Return the keypoints of the config's dataset, which mmpose has read."""
        return self.model.dataset_meta

    def use_meta(self, meta: dict[str, Any]) -> None:
        """Take the keypoints and their colors."""
        self.model.dataset_meta = meta
        self.inferencer.visualizer.set_dataset_meta(meta)

    def batches(self, images: Sequence[np.ndarray]) -> Iterator[Any]:
        """Yield batches without the images that mmpose draws on."""
        for data, _ in super().batches(images):
            yield data

    def describe(self, image: np.ndarray, sample: Any) -> Prediction:
        """Return the keypoints, (x, y) in pixels of the image, and their scores."""
        from mmpose.structures import split_instances

        instances = split_instances(sample.pred_instances)
        return Prediction(dict(instances=instances), self.draw(image, sample, kpt_thr=_SCORE))


# Default scope of a config -> what predicts with it.
PREDICTORS: dict[str, type[Predictor]] = dict(
    mmpretrain=Classifier,
    mmdet=Detector,
    mmrotate=Detector,
    mmseg=Segmentor,
    mmpose=PoseEstimator,
)
# Models that take or give something else -> what to do with them.
_OTHER_TOOLS = dict(
    Mattor='a matting network: cut out with tools/cut_out.py CONFIG CHECKPOINT INPUT',
    SiamEncoderDecoder=(
        'a change detector, which takes pairs of images: '
        'tools/test.py CONFIG CHECKPOINT --show-dir FOLDER draws those of its dataset'
    ),
)


def build_predictor(config: str | os.PathLike | Config, device: str | None = None) -> Predictor:
    """Build the model and the pipeline of a config; :meth:`Predictor.load` adds the weights.

    Raises:
        UsageError: There is no such config or device, its host package is not installed, or its
            task has a tool of its own (matting, change detection).
    """
    cfg = copy.deepcopy(config) if isinstance(config, Config) else load_config(config)
    source = cfg.filename or 'the config'
    kind = str(cfg.model.type).removeprefix('mmvsa.')
    if kind in _OTHER_TOOLS:
        raise UsageError(f'{source} is {_OTHER_TOOLS[kind]}')
    scope = cfg.get('default_scope')
    if scope not in PREDICTORS:
        raise UsageError(
            f'{source} has default_scope={scope!r}; predictions need one of {sorted(PREDICTORS)}'
        )
    if find_spec(scope) is None:
        raise missing_host(source, scope)
    _check_device(device)
    return PREDICTORS[scope](cfg, device)


def _check_device(device: str | None) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f'device {device!r} cannot be used ({reason}); try cpu') from error


def _old_meta(meta: dict[str, Any]) -> dict[str, Any]:
    """Return the classes and colors of a checkpoint of OpenMMLab's earlier versions."""
    return {key: meta[key] for key in ('CLASSES', 'PALETTE') if meta.get(key)}


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Silence what host packages say about weights that are not loaded yet."""
    previous = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(previous)
