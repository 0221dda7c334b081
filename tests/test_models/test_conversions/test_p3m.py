"""Official files of P3M-Net load, whole and the encoder alone."""

import pytest
import torch
from helpers.matting import official_state_dict
from helpers.reference import normal

from mmvsa import get_model
from mmvsa.models import load_pretrained
from mmvsa.registry import MODELS


@pytest.mark.parametrize('container', ['state_dict', 'state_dict_ema'])
def test_official_files(container: str, tmp_path) -> None:
    state_dict = official_state_dict()
    path = tmp_path / 'official.pth'
    if container == 'state_dict_ema':  # of the encoder alone
        state_dict = {
            k.removeprefix('encoder.'): v for k, v in state_dict.items() if 'encoder' in k
        }
        models = [MODELS.build(dict(type='mmvsa.PoolingViTAE')) for _ in range(2)]
    else:
        models = [get_model('p3m-net_vitae-s') for _ in range(2)]
    torch.save({container: {f'module.{k}': v for k, v in state_dict.items()}}, path)
    reports = [load_pretrained(model.eval(), path) for model in models]
    assert [key.rsplit('.', 1)[1] for key in reports[0].missing] == ['directions'] * 2
    assert not reports[0].unexpected and not reports[0].mismatched
    weight = dict(models[0].named_parameters())
    key = next(k for k in weight if k.endswith('stages.0.blocks.1.norm1.weight'))
    whole = 'encoder.' if container == 'state_dict' else ''
    assert torch.equal(weight[key], state_dict[f'{whole}layers.0.NC.1.norm1.weight'])
    with torch.no_grad():  # the projections that no file has are the same in every model
        first, second = (model(normal(0, (1, 3, 32, 32)))[-2] for model in models)
    assert torch.equal(first, second)
