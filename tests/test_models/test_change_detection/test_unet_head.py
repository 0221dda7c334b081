"""MTP's difference head."""

import pytest
import torch
from helpers.pairs import sample
from mmengine.registry import init_default_scope

from mmvsa.models.change_detection import UNetHead
from mmvsa.registry import MODELS

CHANNELS = (4, 8, 12, 16)


def maps(height=64, width=96):
    sizes = [(-(-height // s), -(-width // s)) for s in (4, 8, 16, 32)]
    return [torch.randn(2, c, *size) for c, size in zip(CHANNELS, sizes, strict=True)]


def build(**options):
    init_default_scope('mmseg')
    return UNetHead(CHANNELS, 6, (12, 10, 8, 6), **options)


def test_logits_have_the_size_of_the_image():
    assert build()(maps()).shape == (2, 2, 64, 96)


def test_maps_of_one_size():
    """As MTP's plain transformer gives them: twice the image, which mmseg shrinks to the labels."""
    head = build()
    same = [torch.randn(2, c, 4, 6) for c in CHANNELS]
    assert head(same).shape == (2, 2, 128, 192)
    finer = [torch.zeros_like(x) for x in same[:3]]
    assert not head.eval()([*finer, same[3]]).equal(head(same)), 'earlier maps count'


def test_keys_are_those_of_mtp():
    keys = set(build().state_dict())
    assert {'blocks.0.conv1.0.weight', 'blocks.3.conv2.1.running_mean', 'conv_seg.bias'} <= keys
    # The last block has no finer map to join.
    assert build().blocks[3].conv1[0].weight.shape == (6, 8, 3, 3)
    assert build().blocks[0].conv1[0].weight.shape == (12, 16 + 12, 3, 3)


def test_maps_of_odd_sizes():
    assert build()(maps(72, 104)).shape == (2, 2, 96, 128)


def test_one_block_per_map():
    with pytest.raises(ValueError, match='decoder_channels needs one entry for each of the 4 maps'):
        UNetHead(CHANNELS, 6, (8, 6))
    with pytest.raises(ValueError, match='equal to channels=6'):
        UNetHead(CHANNELS, 6, (8, 8, 8, 8))


def test_equal_images_have_no_difference():
    """The head sees zeros where nothing changed, whatever the image."""
    init_default_scope('mmseg')
    model = MODELS.build(
        dict(
            type='mmvsa.SiamEncoderDecoder',
            backbone=dict(type='mmseg.ResNetV1c', depth=18, base_channels=8),
            neck=dict(type='mmvsa.FeatureFusionNeck', policy='abs_diff'),
            decode_head=dict(
                type='mmvsa.UNetHead',
                in_channels=(8, 16, 32, 64),
                channels=8,
                decoder_channels=(16, 16, 8, 8),
            ),
        )
    )
    image = torch.randn(1, 3, 64, 64)
    fused = model.extract_feat(torch.cat((image, image), 1))
    assert all((x == 0).all() for x in fused)
    changed = (torch.rand(2, 64, 64) > 0.9).long()
    losses = model(torch.randn(2, 6, 64, 64), [sample(c) for c in changed], mode='loss')
    losses['decode.loss_ce'].backward()
    assert all(p.grad is not None for p in model.parameters())
