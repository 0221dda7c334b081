"""Models that a user names, and checkpoints that must be whole."""

import pytest
import torch
from helpers.cli import QUICKSTART

from mmvsa.utils import UsageError, build_backbone, build_model


def test_a_name_and_a_config():
    with torch.device('meta'):
        named = build_model('swin-t-vsa', {'model.head.num_classes': 7})
        built = build_model(str(QUICKSTART))
    assert named.head.fc.out_features == 7 and built.head.fc.out_features == 10
    assert built.data_preprocessor.mean.shape == (3, 1, 1)  # the config's, not the default


@pytest.mark.parametrize(
    ('name', 'channels'),
    [
        ('swin-t-vsa', (96, 192, 384, 768)),
        ('vitae-tiny', (64, 64, 256)),
        ('vitae-base', (768,)),
        ('rvsa-vit-b', (768,) * 4),
    ],
)
def test_backbones_of_names_return_several_maps(name, channels):
    with torch.device('meta'):
        backbone = build_backbone(name)
        outputs = backbone(torch.empty(1, 3, 64, 64))
    assert tuple(out.shape[1] for out in outputs) == channels
    assert all(out.dim() == 4 for out in outputs)


def test_backbone_of_a_config_returns_what_the_config_says():
    with torch.device('meta'):
        assert build_backbone(str(QUICKSTART)).out_indices == (2,)


@pytest.mark.parametrize('name', ['vitaev2-x', 'no_such.py'])
def test_unknown_models_are_named(name):
    with pytest.raises(UsageError, match=name):
        build_model(name)
