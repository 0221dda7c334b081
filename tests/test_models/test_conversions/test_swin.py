"""Names of Swin, Swin with VSA and QFormer."""

import torch

from mmvsa.models.conversions import convert_mmpretrain_swin, convert_swin
from mmvsa.models.conversions.swin import reorder_merging


def test_merging_sees_the_same_pixels():
    """The official order is that of four shifted maps; unfold's is channel by channel."""
    x, weight = torch.randn(1, 6, 8, 3), torch.randn(5, 12)
    shifted = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
    expected = torch.cat(shifted, -1) @ weight.T
    unfolded = torch.nn.functional.unfold(x.permute(0, 3, 1, 2), 2, stride=2).transpose(1, 2)
    actual = unfolded @ reorder_merging(weight).T
    torch.testing.assert_close(actual.view_as(expected), expected)


def test_the_norm_goes_with_the_last_stage():
    keys = ('layers.2.blocks.0.attn.qkv.weight', 'norm.bias', 'layers.1.blocks.0.pos.bias')
    assert list(convert_swin({key: torch.zeros(4, 4) for key in keys})) == [
        'stages.2.blocks.0.attn.qkv.weight',
        'norm2.bias',
        'stages.1.blocks.0.pos_conv.bias',
    ]


def test_names_of_mmpretrain():
    keys = ('stages.0.blocks.0.attn.w_msa.qkv.bias', 'stages.0.blocks.0.ffn.layers.0.0.bias')
    assert list(convert_mmpretrain_swin({key: torch.zeros(4) for key in keys})) == [
        'stages.0.blocks.0.attn.qkv.bias',
        'stages.0.blocks.0.mlp.fc1.bias',
    ]
