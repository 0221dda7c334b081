"""Files that hold a whole pickled module."""

import os
import sys
import types

import pytest
import torch
from helpers.reference import state_dict

from mmvsa import get_model
from mmvsa.models import CheckpointError, read_state_dict

CODE = """
import functools, torch
from torch import nn

class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.GELU())
        self.inner = nn.ModuleList([Inner(), Inner()])
        self.norm = functools.partial(nn.LayerNorm, eps=1e-6)
        self.register_buffer('kept', torch.ones(2))
        self.register_buffer('computed', torch.ones(2), persistent=False)
"""


@pytest.fixture
def foreign(monkeypatch):
    """A module of Python whose classes are not there when the file is read."""
    module = types.ModuleType('foreign_networks')
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(CODE, module.__dict__)
    return module


def save(value, path, monkeypatch):
    torch.save(value, path)
    monkeypatch.delitem(sys.modules, 'foreign_networks')
    return path


def test_state_dict_of_a_foreign_module(foreign, tmp_path, monkeypatch):
    net = foreign.Net()
    found = read_state_dict(save(net, tmp_path / 'net.pth', monkeypatch))
    expected = net.state_dict()
    assert found.keys() == expected.keys()
    assert all(found[key].equal(value) for key, value in expected.items())
    assert 'foreign_networks' not in sys.modules


def test_a_module_that_runs_code_is_refused(foreign, tmp_path, monkeypatch):
    class Command:
        def __reduce__(self):
            return os.system, (f'touch {tmp_path}/ran',)

    net = foreign.Net()
    net.command = Command()
    path = save(net, tmp_path / 'net.pth', monkeypatch)
    with pytest.raises(CheckpointError, match='cannot be read as weights'):
        read_state_dict(path)
    assert not (tmp_path / 'ran').exists()


def test_other_objects_are_refused(foreign, tmp_path, monkeypatch):
    value = {'weights': torch.ones(1), 'other': foreign.Inner}
    with pytest.raises(CheckpointError, match='cannot be read as weights'):
        read_state_dict(save(value, tmp_path / 'other.pth', monkeypatch))


def test_get_model_loads_a_pickled_change_detector(foreign, tmp_path, monkeypatch):
    """The official files are of this kind."""
    root = foreign.Inner()
    del root.weight
    for key, value in state_dict('BIT_ViTAEv2_S').items():
        module, (*parents, name) = root, key.split('.')
        for parent in parents:
            if parent not in module._modules:
                child = foreign.Inner()
                del child.weight
                module.add_module(parent, child)
            module = module._modules[parent]
        module.register_buffer(name, value)
    path = save(root, tmp_path / 'checkpoint_epoch_1.pth', monkeypatch)
    model = get_model('bit_vitaev2-s', pretrained=path)
    expected = state_dict('BIT_ViTAEv2_S')['conv_pred.weight']
    assert model.decode_head.project.weight.equal(expected)
