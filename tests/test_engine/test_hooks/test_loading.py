"""What a runner loads is checked first; after an error, nothing has changed."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.runners import fake_runner
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import BaseLoop
from torch import Tensor, nn

from mmvsa.engine import CheckpointGuardHook
from mmvsa.models import CheckpointError


class Head(nn.Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.fc = nn.Linear(4, num_classes)


class Model(nn.Module):
    """Six tensors, two of a head."""

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
        self.head = Head(num_classes)


class Loop(BaseLoop):
    def __init__(self) -> None:
        pass

    def run(self) -> None:
        pass


def trained(model: nn.Module, **options: Any) -> OptimWrapper:
    """Return the optimizer of a model, after a step."""
    wrapper = OptimWrapper(torch.optim.AdamW(model.parameters(), **options))
    wrapper.update_params(sum(p.sum() for p in model.parameters()))
    return wrapper


def load(
    model: nn.Module, checkpoint: dict[str, Any], *, train: bool = True, **runner: Any
) -> dict[str, Any]:
    """Return what the hook leaves of a checkpoint."""
    options = dict(_load_from='FILE', _resume=False, _train_loop=Loop() if train else {})
    hub = MessageHub('name')
    given = fake_runner(hub, Path(), model=model, **{**options, **runner})
    CheckpointGuardHook().after_load_checkpoint(given, checkpoint)
    return checkpoint


def changed(model: nn.Module, **values: Tensor) -> dict[str, Tensor]:
    """Return the weights of a model, with others under some keys (``__`` is a dot)."""
    return {**model.state_dict(), **{k.replace('__', '.'): v for k, v in values.items()}}


def test_a_training_starts_from_what_fits() -> None:
    weights = Model(num_classes=5).state_dict()
    left = load(Model(), dict(model=weights, ema_state_dict={}))
    assert left['state_dict'].keys() == {k for k in weights if k.startswith('backbone.')}
    assert 'ema_state_dict' not in left
    whole = load(Model(), dict(state_dict=Model().state_dict(), ema_state_dict=dict(steps=1)))
    assert len(whole['state_dict']) == 6 and 'ema_state_dict' in whole


def test_a_test_takes_no_part() -> None:
    weights = Model(5).state_dict()
    with pytest.raises(CheckpointError, match='the checkpoint is of 5 classes, the config of 3'):
        load(Model(), dict(state_dict=weights), train=False)
    backbone = {k: v for k, v in weights.items() if k.startswith('backbone.')}
    with pytest.raises(CheckpointError, match=r'not in the file: head.fc.weight, head.fc.bias'):
        load(Model(), dict(state_dict=backbone), train=False)
    more = changed(Model(), neck__weight=torch.ones(1))
    with pytest.raises(CheckpointError, match='not in the model: neck.weight'):
        load(Model(), dict(state_dict=more), train=False)
    inner = {f'student.{key}': value for key, value in Model().state_dict().items()}
    with pytest.raises(CheckpointError, match='fits only 0 of the 6 tensors'):
        load(Model(), dict(state_dict=inner), train=False)
    load(Model(), dict(state_dict=inner))  # a training finds it
    load(Model(), dict(state_dict=Model().state_dict()), train=False)


@pytest.mark.parametrize(
    ('weights', 'message'),
    [
        ({'x.y': torch.ones(1)}, 'fits only 0 of the 6 tensors'),
        ({}, 'holds no state dict'),
        (changed(Model(), head__fc__bias=torch.tensor([1.0, float('nan'), 1.0])), 'NaN'),
        (changed(Model(), head__fc__bias=torch.ones(3, dtype=torch.int64)), 'torch.int64'),
        (changed(Model(), head__fc__bias=torch.ones(3, dtype=torch.complex64)), 'complex64'),
        (changed(Model(), head__fc__bias=torch.ones(3, device='meta')), 'a meta tensor'),
        (changed(Model(), head__fc__bias=torch.ones(3).to_sparse()), 'sparse_coo'),
        (dict[Any, Any](changed(Model())) | {7: torch.ones(1)}, 'the key 7 is a int'),
    ],
)
@pytest.mark.parametrize('train', [True, False])
def test_what_load_pretrained_refuses(weights: dict, message: str, train: bool) -> None:
    model = Model()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(CheckpointError, match=message):
        load(model, dict(state_dict=weights), train=train)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def resumable(model: nn.Module, **options: Any) -> dict[str, Any]:
    return dict(state_dict=model.state_dict(), optimizer=trained(model, **options).state_dict())


def resume(model: nn.Module, checkpoint: dict[str, Any], **options: Any) -> dict[str, Any]:
    wrapper = OptimWrapper(torch.optim.AdamW(model.parameters(), **options))
    return load(model, checkpoint, _resume=True, optim_wrapper=wrapper)


@pytest.mark.parametrize('options', [dict(fused=True), dict(amsgrad=True)])
def test_a_training_resumes(options: dict[str, Any]) -> None:
    resume(Model(), resumable(Model(), **options), **options)


def test_weights_in_another_place_resume() -> None:
    checkpoint = resumable(Model())
    checkpoint['model'] = checkpoint.pop('state_dict')
    assert resume(Model(), checkpoint)['state_dict'].keys() == Model().state_dict().keys()


@pytest.mark.parametrize('classes', [2, 5])
def test_another_number_of_classes_does_not_resume(classes: int) -> None:
    """PyTorch's fused AdamW would read beyond the moments, or leave some of them unread."""
    message = f'the checkpoint is of {classes} classes, the config of 3'
    with pytest.raises(CheckpointError, match=message):
        resume(Model(), resumable(Model(classes)), fused=True)


def test_the_state_of_another_optimizer() -> None:
    checkpoint = resumable(Model())
    checkpoint['optimizer'] = trained(Model(5)).state_dict()
    with pytest.raises(CheckpointError, match=r'optimizer of 4: exp_avg is \(5, 4\) .*\(3, 4\)'):
        resume(Model(), checkpoint)
    checkpoint['optimizer'] = trained(nn.Linear(4, 4)).state_dict()
    with pytest.raises(CheckpointError, match='2 parameters in 1 groups, that of the config 6'):
        resume(Model(), checkpoint)


@pytest.mark.parametrize('value', [torch.ones(2), torch.ones(4, device='meta'), torch.ones(0)])
@pytest.mark.parametrize('name', ['exp_avg', 'step', 'anything'])
def test_states_of_another_shape(name: str, value: Tensor) -> None:
    checkpoint = resumable(Model())
    checkpoint['optimizer']['state'][1][name] = value
    with pytest.raises(CheckpointError, match=f'FILE: optimizer of 1: {name} is'):
        resume(Model(), checkpoint)


def test_states_of_a_part_of_the_shape() -> None:
    """Adafactor keeps sums of rows and columns."""
    model = Model()
    wrapper = OptimWrapper(torch.optim.Adafactor(model.parameters()))
    wrapper.update_params(sum(p.sum() for p in model.parameters()))
    checkpoint = dict(state_dict=model.state_dict(), optimizer=wrapper.state_dict())
    load(model, checkpoint, _resume=True, optim_wrapper=wrapper)


def test_several_optimizers() -> None:
    def wrappers(model: Model) -> OptimWrapperDict:
        return OptimWrapperDict(backbone=trained(model.backbone), head=trained(model.head))

    model = Model()
    checkpoint = dict(state_dict=model.state_dict(), optimizer=wrappers(model).state_dict())
    load(model, checkpoint, _resume=True, optim_wrapper=wrappers(model))
    checkpoint['optimizer']['head'] = trained(Head(5)).state_dict()
    with pytest.raises(CheckpointError, match='exp_avg is'):
        load(model, checkpoint, _resume=True, optim_wrapper=wrappers(model))


def test_a_broken_average_does_not_resume() -> None:
    checkpoint = resumable(Model())
    inner = {f'module.{key}': value for key, value in Model(5).state_dict().items()}
    checkpoint['ema_state_dict'] = dict(inner, steps=torch.tensor(3))
    with pytest.raises(CheckpointError, match='ema_state_dict.*5 classes'):
        resume(Model(), checkpoint)
    inner = {f'module.{key}': value for key, value in Model().state_dict().items()}
    checkpoint['ema_state_dict'] = dict(inner, steps=torch.tensor(3))
    assert resume(Model(), checkpoint)['ema_state_dict']['steps'] == 3


def test_a_wrapped_model() -> None:
    from mmengine.model import BaseTTAModel

    class Average(BaseTTAModel):
        def merge_preds(self, data_samples_list: list) -> list:
            return data_samples_list

    class Tested(Model):
        def test_step(self, data: object) -> object:
            return data

    load(Average(Tested()), dict(state_dict=Model().state_dict()), train=False)


def test_the_source_of_an_automatic_resume() -> None:
    with pytest.raises(CheckpointError, match='^the checkpoint holds no state dict'):
        load(Model(), dict(state_dict={}), _load_from=None)
