"""One form for the inferencers of all host packages: results, drawings, weights, classes."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers.cli import QUICKSTART, ROOT
from helpers.predictions import TASKS, write_images, write_model
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmvsa.apis.predictors import Prediction, Predictor, build_predictor
from mmvsa.datasets.images import read_image
from mmvsa.models import CheckpointError
from mmvsa.utils import UsageError


@pytest.fixture(scope='module', params=list(TASKS))
def predictor(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Predictor:
    config, checkpoint = write_model(request.param, tmp_path_factory.mktemp(request.param))
    predictor = build_predictor(config, 'cpu').load(checkpoint)
    assert request.param.endswith(predictor.task)
    return predictor


def check_classification(prediction: Prediction) -> None:
    result = prediction.result
    best = result['best']
    assert len(best) == 5 and result['name'] == best[0]['name'] == str(result['label'])
    assert 0 < best[4]['score'] <= best[0]['score'] < 1


def check_detection(prediction: Prediction) -> None:
    (first, *others) = prediction.result['instances']
    assert len(others) == 4 and first['score'] >= others[0]['score']
    assert first['name'] == str(first['label']) and len(first['bbox']) == 4
    assert first['mask']['size'] == [60, 90] and isinstance(first['mask']['counts'], str)


def check_oriented_detection(prediction: Prediction) -> None:
    (first, *others) = prediction.result['instances']
    assert len(others) == 4 and len(first['bbox']) == 5 and 'mask' not in first


def check_segmentation(prediction: Prediction) -> None:
    label_map = prediction.label_map
    assert label_map is not None and label_map.shape == (60, 90) and label_map.dtype == np.uint8
    shares = prediction.result['shares']
    assert sum(shares.values()) == pytest.approx(1)
    assert shares.get('background', 0) == pytest.approx((label_map == 0).mean())


def check_pose(prediction: Prediction) -> None:
    (instance,) = prediction.result['instances']
    assert np.shape(instance['keypoints']) == (17, 2)
    assert np.shape(instance['keypoint_scores']) == (17,)


def test_prediction(predictor: Predictor, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    folder = write_images(tmp_path / 'images')
    images = [read_image(path) for path in sorted(folder.glob('*'))]
    alone = predictor(images[:1])
    together = predictor(images)
    assert len(together) == 2
    name = request.node.callspec.params['predictor']
    for prediction in (*alone, *together):
        globals()[f'check_{name}'](prediction)
        picture = prediction.picture
        assert picture.dtype == np.uint8 and picture.shape[2] == 3
        assert picture.shape[0] / picture.shape[1] == pytest.approx(60 / 90, abs=0.01)


def test_what_is_sure_enough_is_drawn(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Random weights are sure of nothing: boxes and keypoints appear when every score will do."""
    image = read_image(write_images(tmp_path / 'images') / '0.png')
    changed = []
    for score in (1.0, 0.0):
        monkeypatch.setattr('mmvsa.apis.predictors._SCORE', score)
        (prediction,) = predictor([image])
        shown = cv2.resize(image, prediction.picture.shape[1::-1])[..., ::-1]
        changed.append((prediction.picture != shown).any())
    thresholded = predictor.task in ('detection', 'pose')
    assert changed == [not thresholded, True]


def test_classes(predictor: Predictor, request: pytest.FixtureRequest) -> None:
    counts = dict(classification=10, detection=10, segmentation=11, pose=17, oriented_detection=15)
    assert len(predictor.classes) == counts[request.node.callspec.params['predictor']]


def test_picture_shows_the_image_in_its_colors(tmp_path: Path) -> None:
    config, checkpoint = write_model('segmentation', tmp_path)
    predictor = build_predictor(config, 'cpu').load(checkpoint)
    predictor.inferencer.visualizer.alpha = 0.0
    blue = np.zeros((64, 64, 3), np.uint8)
    blue[..., 0] = 200  # BGR
    (prediction,) = predictor([blue])
    assert np.abs(prediction.picture.astype(int) - (0, 0, 200)).mean() < 12


@pytest.mark.parametrize(('count', 'dtype'), [(256, np.uint8), (257, np.uint16)])
def test_a_label_map_holds_every_class(
    count: int, dtype: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, checkpoint = write_model('segmentation', tmp_path)
    predictor = build_predictor(config, 'cpu').load(checkpoint)
    predictor.model.dataset_meta = dict(classes=[f'class {i}' for i in range(count)])
    monkeypatch.setattr(predictor, 'draw', lambda image, sample: image)
    labels = torch.full((1, 4, 4), count - 1)
    sample = SegDataSample(pred_sem_seg=PixelData(data=labels))
    prediction = predictor.describe(np.zeros((4, 4, 3), np.uint8), sample)
    assert prediction.label_map is not None and prediction.label_map.dtype == dtype
    assert (prediction.label_map == count - 1).all()
    assert prediction.result['shares'] == {f'class {count - 1}': 1.0}


def test_predictions_are_those_of_the_host(tmp_path: Path) -> None:
    """Scores of mmpretrain's inferencer on the file, with the same weights."""
    from mmpretrain import ImageClassificationInferencer

    config, checkpoint = write_model('classification', tmp_path)
    path = write_images(tmp_path / 'images') / '0.png'
    (expected,) = ImageClassificationInferencer(str(config), str(checkpoint))(str(path))
    (found,) = build_predictor(config, 'cpu').load(checkpoint)([read_image(path)])
    assert found.result['label'] == expected['pred_label']
    assert found.result['score'] == pytest.approx(expected['pred_score'], rel=1e-5)


def test_classes_of_the_checkpoint_come_first(tmp_path: Path) -> None:
    config, checkpoint = write_model('classification', tmp_path)
    content = torch.load(checkpoint)
    names = [f'digit {i}' for i in range(10)]
    for meta in (dict(dataset_meta=dict(classes=names)), dict(CLASSES=names)):
        torch.save({**content, 'meta': meta}, checkpoint)
        assert build_predictor(config, 'cpu').load(checkpoint).classes == names


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda w: {k: v for k, v in w.items() if k.startswith('backbone')}, 'backbone alone'),
        (lambda w: {**w, 'head.fc.weight': torch.zeros(5, 16)}, 'another shape'),
        (lambda w: dict(other=torch.zeros(2)), 'Is it a checkpoint of this model'),
    ],
)
def test_incomplete_checkpoints_are_refused(change, message: str, tmp_path: Path) -> None:
    config, checkpoint = write_model('classification', tmp_path)
    torch.save(dict(state_dict=change(torch.load(checkpoint)['state_dict'])), checkpoint)
    with pytest.raises(CheckpointError, match=message) as error:
        build_predictor(config, 'cpu').load(checkpoint)
    assert str(checkpoint) in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        ('matting/p3m-net_vitae-s_1xb8-150e_p3m10k-512x512.py', 'tools/cut_out.py'),
        ('change_detection/bit_vitaev2-s_1xb8-200e_levir-256x256.py', 'tools/test.py'),
    ],
)
def test_tasks_with_tools_of_their_own(config: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_predictor(ROOT / 'configs' / config)


def test_unknown_scope_and_device(tmp_path: Path) -> None:
    path = tmp_path / 'other.py'
    path.write_text("model = dict(type='A')\ndefault_scope = 'mmaction'")
    with pytest.raises(UsageError, match="default_scope='mmaction'"):
        build_predictor(path)
    with pytest.raises(UsageError, match="device 'tpu9'"):
        build_predictor(QUICKSTART, 'tpu9')


@pytest.mark.parametrize(
    ('scope', 'command'),
    [('mmpose', 'tools/install.sh --pose'), ('mmseg', 'tools/install.sh')],
)
def test_missing_host(
    scope: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A config without bases, as a work dir has it."""
    path = tmp_path / 'other.py'
    path.write_text(f"model = dict(type='A')\ndefault_scope = '{scope}'")
    monkeypatch.setattr('mmvsa.apis.predictors.find_spec', lambda name: None)
    with pytest.raises(UsageError, match=f'{scope}, which is not installed; run {command}$'):
        build_predictor(path)
