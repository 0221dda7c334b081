"""Cut-outs from Python: colors, backgrounds, checkpoints."""

import numpy as np
import pytest
import torch
from helpers.matting import tiny_model

from mmvsa.apis.matting import cut_out, estimate_foreground, load_mattor, predict_alpha
from mmvsa.models import CheckpointError
from mmvsa.visualization import checkerboard


@pytest.fixture
def model() -> torch.nn.Module:
    return tiny_model().eval()


def test_foreground_loses_the_background() -> None:
    """A half transparent edge between red and blue becomes as red as the inside."""
    alpha = np.zeros((60, 60), np.float32)
    alpha[:, 30:], alpha[:, 28:30] = 1, 0.5
    red, blue = np.array([0, 0, 255]), np.array([255, 0, 0])
    image = np.rint(alpha[..., None] * red + (1 - alpha[..., None]) * blue).astype(np.uint8)
    foreground = estimate_foreground(image, alpha)
    assert (foreground[alpha == 1] == image[alpha == 1]).all()
    assert np.abs(foreground[:, 28:30].astype(int) - red).max() < 40
    assert np.abs(image[:, 28:30].astype(int) - red).max() > 120
    for value in (0, 1):
        plain = estimate_foreground(image, np.full_like(alpha, value))
        assert plain.shape == image.shape and ((plain == image).all() or not value)


def test_backgrounds(model: torch.nn.Module) -> None:
    image = np.random.randint(0, 255, (40, 50, 3), np.uint8)
    alpha = predict_alpha(model, image)
    assert alpha.shape == (40, 50) and alpha.dtype == np.float32
    rgba = cut_out(model, image)
    assert rgba.shape == (40, 50, 4) and (rgba[..., 3] == np.floor(alpha * 255)).all()
    torch.nn.init.zeros_(model.decode_head.glance_logits.weight)
    model.decode_head.glance_logits.bias.data = torch.tensor([1.0, 0.0, 0.0])  # all background
    wide = np.zeros((10, 80, 3), np.uint8)
    wide[:, 20:60] = 200  # the middle, which is all that is left after covering 40 x 50
    for background, expected in (
        ('green', np.full((40, 50, 3), (0, 255, 0))),
        ('checker', checkerboard(40, 50)),
        (wide, np.full((40, 50, 3), 200)),
    ):
        composed = cut_out(model, image, background)
        assert (composed == expected).all()
    with pytest.raises(ValueError, match='background'):
        cut_out(model, image, 'gren')


def test_loading(model: torch.nn.Module, tmp_path) -> None:
    state = {key: value + 1 for key, value in model.state_dict().items()}
    torch.save(state, tmp_path / 'model.pth')
    load_mattor(model, tmp_path / 'model.pth')
    assert torch.equal(
        model.state_dict()['decode_head.glance_logits.bias'],
        state['decode_head.glance_logits.bias'],
    )
    torch.save({k: v for k, v in state.items() if 'decode_head.tfi' not in k}, tmp_path / 'x.pth')
    with pytest.raises(CheckpointError, match='lacks .* tensors'):
        load_mattor(model, tmp_path / 'x.pth')
