"""Parts that heads share."""

import torch
from mmengine.registry import init_default_scope

from mmvsa.models.change_detection.layers import CROSS_ENTROPY, conv_norm_relu
from mmvsa.registry import MODELS


def test_convolution_norm_and_relu_by_hand():
    layers = conv_norm_relu(3, 5, dict(type='BN')).eval()
    torch.nn.init.normal_(layers[1].running_mean)
    x = torch.randn(2, 3, 4, 6)
    convolved = torch.nn.functional.conv2d(x, layers[0].weight, padding=1)
    expected = (convolved - layers[1].running_mean.view(1, -1, 1, 1)).relu() / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(layers(x), expected)
    assert layers[0].bias is None


def test_loss_is_that_of_pytorch_over_what_is_not_ignored():
    init_default_scope('mmseg')
    logits, labels = torch.randn(1, 2, 4, 4), torch.randint(0, 2, (1, 4, 4))
    labels[0, :2] = 255
    expected = torch.nn.functional.cross_entropy(logits, labels, ignore_index=255)
    loss = MODELS.build(CROSS_ENTROPY)(logits, labels, ignore_index=255)
    torch.testing.assert_close(loss, expected)
