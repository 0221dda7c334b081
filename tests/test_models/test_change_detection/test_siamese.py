"""The Siamese encoder-decoder: pairs, modes, sizes."""

import pytest
import torch
from helpers.pairs import sample
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope

from mmvsa.models.change_detection.siamese import join_pair
from mmvsa.registry import MODELS


@pytest.fixture
def model():
    init_default_scope('mmseg')
    config = dict(
        type='mmvsa.SiamEncoderDecoder',
        data_preprocessor=dict(type='mmvsa.PairDataPreprocessor', test_cfg=dict(size_divisor=32)),
        backbone=dict(type='mmseg.ResNetV1c', depth=18, base_channels=8, out_indices=(2,)),
        neck=dict(type='mmvsa.FeatureFusionNeck'),
        decode_head=dict(type='mmvsa.BITHead', in_channels=32, channels=8, decoder_depth=1),
    )
    return MODELS.build(config).eval()


def test_is_a_model_of_mmengine(model):
    assert isinstance(model, BaseModel)
    assert type(model.data_preprocessor).__name__ == 'PairDataPreprocessor'


@torch.no_grad()
def test_a_pair_may_be_joined_or_not(model):
    before, after = torch.randn(2, 3, 64, 96), torch.randn(2, 3, 64, 96)
    logits = model((before, after), mode='tensor')
    assert logits.shape == (2, 2, 64, 96)
    torch.testing.assert_close(model(torch.cat((before, after), 1)), logits)
    torch.testing.assert_close(model([before, after]), logits)
    assert not torch.allclose(model((after, before)), logits)


@torch.no_grad()
@pytest.mark.parametrize('size', [(50, 70), (33, 32), (16, 16)])
def test_logits_have_the_size_of_the_images(model, size):
    assert model((torch.randn(1, 3, *size),) * 2).shape == (1, 2, *size)


@torch.no_grad()
def test_predictions_have_the_size_of_the_images(model):
    """Padded to a multiple of 32, and cut again."""
    inputs = [torch.randint(0, 256, (6, 50, 70), dtype=torch.uint8)]
    data = model.data_preprocessor(
        dict(inputs=inputs, data_samples=[sample(torch.zeros(50, 70))]), False
    )
    assert data['inputs'].shape == (1, 6, 64, 96)
    (result,) = model(**data, mode='predict')
    assert result.pred_sem_seg.data.shape == (1, 50, 70)
    assert set(result.pred_sem_seg.data.unique().tolist()) <= {0, 1}


@torch.no_grad()
def test_sliding_windows(model):
    pair = torch.randn(1, 6, 64, 96)
    whole = model(pair[..., :64])
    model.test_cfg.update(mode='slide', crop_size=(64, 64), stride=(32, 32))
    (result,) = model(pair, [sample(torch.zeros(64, 96))], mode='predict')
    assert result.seg_logits.data.shape == (2, 64, 96)
    # The first 32 columns lie in the first window alone.
    torch.testing.assert_close(result.seg_logits.data[..., :32], whole[0, ..., :32])


def test_each_image_has_its_own_batch_statistics(model):
    """As in the official code: the backbone runs once per date."""
    model.train()
    before, after = torch.randn(2, 3, 64, 64), 5 + 3 * torch.randn(2, 3, 64, 64)
    together = model.backbone(torch.cat((before, after)))[0].chunk(2)
    alone = [model.backbone(image)[0] for image in (before, after)]
    fused = model.extract_feat(torch.cat((before, after), 1))[0]
    torch.testing.assert_close(fused, torch.cat(alone, 1))
    assert not torch.allclose(fused, torch.cat(together, 1))


@pytest.mark.parametrize(
    'inputs',
    [
        (torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9)),
        (torch.zeros(1, 3, 8, 8),),
        torch.zeros(1, 3, 8, 8),
        torch.zeros(6, 8, 8),
    ],
)
def test_what_is_no_pair_is_refused(inputs):
    with pytest.raises(ValueError, match='pair'):
        join_pair(inputs)
