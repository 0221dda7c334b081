"""From loaded pairs to a batch."""

import pytest
import torch
from helpers.pairs import sample

from mmvsa.models.change_detection import PairDataPreprocessor


def pair(height=4, width=6):
    """A pair whose channels hold 0 ... 5."""
    return torch.arange(6).view(6, 1, 1).expand(6, height, width).to(torch.uint8)


def test_channels_are_reversed_image_by_image():
    data = PairDataPreprocessor(bgr_to_rgb=True)(dict(inputs=[pair()]), False)
    assert data['inputs'][0, :, 0, 0].tolist() == [2, 1, 0, 5, 4, 3]
    assert data['inputs'].dtype == torch.float32


def test_values_stay_without_mean():
    data = PairDataPreprocessor()(dict(inputs=[pair()]), False)
    assert data['inputs'][0, :, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]


def test_both_images_are_normalized_after_the_channels_are_reversed():
    preprocessor = PairDataPreprocessor([1, 2, 3], [1, 2, 4], bgr_to_rgb=True)
    data = preprocessor(dict(inputs=[pair()]), False)
    assert data['inputs'][0, :, 0, 0].tolist() == [1, -0.5, -0.75, 4, 1, 0]


def test_training_pads_maps_as_ignored():
    samples = [sample(torch.ones(4, 6)), sample(torch.ones(8, 4))]
    data = PairDataPreprocessor()(dict(inputs=[pair(4, 6), pair(8, 4)], data_samples=samples), True)
    assert data['inputs'].shape == (2, 6, 8, 6)
    assert data['data_samples'][0].gt_sem_seg.data[0, 4:].unique().tolist() == [255]


def test_one_image_is_no_pair():
    with pytest.raises(
        ValueError, match=r'a pair of images has shape \(6, H, W\).*got \(3, 4, 4\)'
    ):
        PairDataPreprocessor()(dict(inputs=[torch.zeros(3, 4, 4)]), False)
