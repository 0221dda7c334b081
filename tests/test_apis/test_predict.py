"""Predictions and features of files: what is written, what is left out."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers.cli import ROOT
from helpers.predictions import write_images, write_model

from mmvsa.apis import extract_features, inference
from mmvsa.apis.predictors import build_predictor
from mmvsa.datasets.images import read_image
from mmvsa.models import CheckpointError
from mmvsa.utils import UsageError


def test_written_files(tmp_path: Path) -> None:
    """A picture and a map for each image, and one JSON; a bad image is passed by."""
    config, checkpoint = write_model('segmentation', tmp_path)
    folder, out = write_images(tmp_path / 'images', 3), tmp_path / 'out'
    (folder / '1.png').write_text('no image')
    report = inference(folder, config, checkpoint, out_dir=out, device='cpu', batch_size=2)
    assert json.loads((out / 'predictions.json').read_text()) == report
    assert report['task'] == 'segmentation' and report['classes'][0] == 'background'
    assert [Path(image['image']).name for image in report['images']] == ['0.png', '2.png']
    (skipped,) = report['skipped']
    assert skipped['image'] == str(folder / '1.png') and 'cannot be decoded' in skipped['reason']
    for image in report['images']:
        picture, label_map = cv2.imread(image['picture']), cv2.imread(image['map'], -1)
        assert picture.shape == (60, 90, 3) and label_map.shape == (60, 90)
        background = (label_map == 0).mean()
        assert image['shares'].get('background', 0) == pytest.approx(background)
    files = sorted(str(path.relative_to(out)) for path in out.rglob('*.*'))
    assert files == [
        'maps/0.png', 'maps/2.png', 'pictures/0.png', 'pictures/2.png', 'predictions.json'
    ]  # fmt: skip


def test_batches_change_no_result(tmp_path: Path) -> None:
    config, checkpoint = write_model('classification', tmp_path)
    folder = write_images(tmp_path / 'images', 3)
    results = [
        [image['score'] for image in inference(folder, config, checkpoint, batch_size=n)['images']]
        for n in (1, 2, 5)
    ]
    assert len(results[0]) == 3
    np.testing.assert_allclose(results[1], results[0], rtol=1e-5)
    np.testing.assert_allclose(results[2], results[0], rtol=1e-5)
    assert not list(tmp_path.glob('**/predictions.json')), 'nothing is written without out_dir'


def test_errors_of_the_user(tmp_path: Path) -> None:
    config, checkpoint = write_model('classification', tmp_path)
    folder = write_images(tmp_path / 'images', 1)
    with pytest.raises(UsageError, match='none.pth does not exist; .* has classification.pth'):
        inference(folder, config, tmp_path / 'none.pth')
    with pytest.raises(UsageError, match='at least 1, got 0'):
        inference(folder, config, checkpoint, batch_size=0)
    (folder / 'pictures').mkdir()
    (folder / '0.png').rename(folder / 'pictures/0.png')
    with pytest.raises(UsageError, match='would be overwritten'):
        inference(folder, config, checkpoint, out_dir=folder)
    (folder / 'pictures/0.png').write_text('')
    with pytest.raises(UsageError, match='cannot be decoded'):
        inference(folder, config, checkpoint)


def test_features(tmp_path: Path) -> None:
    """Every stage's map of a classifier, which itself uses the last one."""
    config, checkpoint = write_model('classification', tmp_path)
    folder, out = write_images(tmp_path / 'images'), tmp_path / 'features'
    found = extract_features(folder, config, checkpoint, out_dir=out, device='cpu', batch_size=2)
    assert list(found) == [str(folder / '0.png'), str(folder / '1.png')]
    assert found[str(folder / '1.png')] == out / '1.npz'
    stored = np.load(out / '1.npz')
    shapes = {name: stored[name].shape for name in stored}
    assert shapes == dict(level0=(8, 16, 16), level1=(16, 8, 8), level2=(16, 4, 4))
    predictor = build_predictor(config, 'cpu').load(checkpoint)
    inputs = predictor.model_inputs([read_image(folder / '1.png')])
    with torch.no_grad():
        (expected,) = predictor.model.backbone(inputs)
    np.testing.assert_allclose(stored['level2'], expected[0].numpy(), rtol=1e-4, atol=1e-5)
    (chosen,) = extract_features(folder / '1.png', config, checkpoint, levels=[1]).values()
    np.testing.assert_allclose(chosen['level1'], stored['level1'], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('task', ['detection', 'pose', 'oriented_detection'])
def test_features_of_a_backbone_alone(task: str, tmp_path: Path) -> None:
    """The weights of the rest are not needed."""
    config, checkpoint = write_model(task, tmp_path)
    weights = torch.load(checkpoint)['state_dict']
    torch.save({k: v for k, v in weights.items() if k.startswith('backbone.')}, checkpoint)
    folder = write_images(tmp_path / 'images', 1)
    (levels,) = extract_features(folder, config, checkpoint, device='cpu').values()
    assert sorted(levels) == ['level0', 'level1', 'level2', 'level3']
    sizes = [level.shape[1] for level in levels.values()]
    assert sizes[0] == 2 * sizes[1] == 4 * sizes[2] == 8 * sizes[3]


def test_features_of_a_classifier_that_pools(tmp_path: Path) -> None:
    """RVSA's classifiers return means; features are maps."""
    from mmengine.config import Config

    cfg = Config.fromfile(ROOT / 'configs/rvsa/rvsa-vit-b_1xb64-200e_aid-55.py')
    cfg.model.backbone.update(
        arch=dict(embed_dims=16, depth=2, num_heads=2, window_size=4), init_cfg=None
    )
    assert cfg.model.backbone.out_type == 'avg_featmap'
    folder = write_images(tmp_path / 'images', 1)
    (levels,) = extract_features(folder, cfg, device='cpu').values()
    assert {name: level.shape for name, level in levels.items()} == dict(
        level0=(16, 14, 14), level1=(16, 14, 14)
    )


def test_features_need_the_right_weights(tmp_path: Path) -> None:
    config, _ = write_model('classification', tmp_path)
    torch.save(dict(other=torch.zeros(3)), tmp_path / 'other.pth')
    folder = write_images(tmp_path / 'images', 1)
    with pytest.raises(CheckpointError, match=r'other\.pth fits only 0'):
        extract_features(folder, config, tmp_path / 'other.pth')
    with pytest.raises(ValueError, match='out_indices'):
        extract_features(folder, config, levels=[7])
