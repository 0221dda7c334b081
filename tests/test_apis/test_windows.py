"""Looking at a model by its name or config."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.cli import ROOT
from helpers.predictions import write_images, write_model

from mmvsa.apis.windows import WindowViewer
from mmvsa.datasets.images import read_image
from mmvsa.models import CheckpointError
from mmvsa.utils import UsageError


def test_config_and_checkpoint(tmp_path: Path) -> None:
    """The image after the test pipeline, and windows of the file's weights, as they move."""
    config, checkpoint = write_model('classification', tmp_path)
    content = torch.load(checkpoint)
    key = 'backbone.stages.0.blocks.0.attn.transform.regressor.bias'
    content['state_dict'][key][0] = 1.0  # the first head moves to the right
    torch.save(content, checkpoint)
    image = read_image(write_images(tmp_path / 'images') / '0.png')
    view = WindowViewer(config, checkpoint, 'cpu').look(image)
    assert view.image.shape == (32, 32, 3)
    assert np.abs(view.image.astype(float).mean((0, 1)) - image[..., ::-1].mean((0, 1))).max() < 3
    (layer,) = [layer for layer in view.layers if layer.title == 'stages.0.blocks.0']
    offset = layer.shapes().offset
    assert (offset[0, ..., 0] > 1).all() and np.abs(offset[1]).max() < 1e-5
    assert layer.weights is not None
    random = WindowViewer(config, device='cpu').look(image, weights=False)
    assert all(np.abs(x.shapes().offset).max() < 1e-5 for x in random.layers)
    assert random.layers[0].weights is None


def test_name() -> None:
    """The whole image, its short edge of 224 pixels."""
    view = WindowViewer('swin-t-vsa', device='cpu').look(np.zeros((40, 50, 3), np.uint8))
    assert view.image.shape == (224, 280, 3) and len(view.layers) == 12
    assert {layer.stage for layer in view.layers} == {0, 1, 2, 3}


@pytest.mark.parametrize('task', ['detection', 'oriented_detection'])
def test_models_of_other_hosts(task: str, tmp_path: Path) -> None:
    config, checkpoint = write_model(task, tmp_path)
    view = WindowViewer(config, checkpoint, 'cpu').look(np.zeros((96, 128, 3), np.uint8))
    assert view.layers and view.layers[0].weights is not None


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='vitaev2-s-vsaa is neither .* vitaev2-s-vsa,'):
        WindowViewer('vitaev2-s-vsaa')
    with pytest.raises(UsageError, match='p3m-net_vitae-s is neither'):
        WindowViewer('p3m-net_vitae-s')
    with pytest.raises(UsageError, match='vitaev2-s-window has no windows that are sampled'):
        WindowViewer('vitaev2-s-window')
    with pytest.raises(UsageError, match='none.pth does not exist'):
        WindowViewer('vitaev2-s-vsa', tmp_path / 'none.pth')
    config, _ = write_model('classification', tmp_path)
    torch.save(dict(other=torch.zeros(1)), tmp_path / 'other.pth')
    with pytest.raises(CheckpointError, match='other.pth fits only 0'):
        WindowViewer(config, tmp_path / 'other.pth')
    with pytest.raises(UsageError, match='cut_out'):
        WindowViewer(ROOT / 'configs/quickstart/unet_vitaev2-vsa-nano_matte-scenes.py')
