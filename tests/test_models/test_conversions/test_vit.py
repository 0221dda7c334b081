"""Names of RVSA and of plain ViTs."""

import torch

from mmvsa.models.conversions import convert_vit
from mmvsa.models.conversions.vit import (
    add_class_position,
    join_biases,
    without_class_token,
)


def test_positions_lose_that_of_the_class_token():
    positions = torch.arange(17.0).view(1, 17, 1)
    assert without_class_token(positions)[0, 0] == 1
    assert without_class_token(positions[:, 1:]).shape == (1, 16, 1)


def test_the_class_token_takes_its_position():
    token, positions = torch.full((1, 1, 1), 5.0), torch.arange(2.0, 19).view(1, 17, 1)
    file = dict(cls_token=token, pos_embed=positions)
    assert add_class_position(file)['cls_token'].item() == 7 and file['cls_token'].item() == 5
    without = dict(cls_token=token, pos_embed=positions[:, 1:])
    assert add_class_position(without) is without
    assert add_class_position(dict(pos_embed=positions)).keys() == {'pos_embed'}


def test_the_bias_of_k_is_zero():
    assert join_biases([torch.ones(2), torch.full((2,), 3.0)]).tolist() == [1, 1, 0, 0, 3, 3]


def test_windows_of_k_come_before_those_of_v():
    parts = {'offsets': 2, 'scales': 2, 'angles': 1}
    name = 'blocks.0.attn.sampling_{}_{}.2.bias'
    content = {
        name.format(kind, suffix): torch.full((2 * count,), value)
        for suffix, value in (('k', 1.0), ('v', 2.0))
        for kind, count in parts.items()
    }
    ((key, joined),) = convert_vit(content).items()
    assert key == 'blocks.0.attn.transform.regressor.bias'
    assert joined.tolist() == [1.0] * 10 + [2.0] * 10
