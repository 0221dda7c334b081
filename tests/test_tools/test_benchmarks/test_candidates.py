import dataclasses

import candidates
import pytest
from candidates import Candidate, Workload, parse_candidate
from helpers.cli import ROOT
from torch import nn

from mmvsa.models import SampledWindowAttention

DETECTOR = ROOT / 'configs/quickstart/mask-rcnn_vitaev2-vsa-nano_digit-scenes.py'
CLASSIFIER = ROOT / 'configs/quickstart/vitaev2-vsa-nano_digit-scenes.py'


def test_options() -> None:
    text = 'timm:resnet18@bf16,compile'
    assert parse_candidate(text) == Candidate(text, 'timm', 'resnet18', 'bfloat16', compile=True)
    text = 'a@backend=torch,with_cp,channels_last'
    expected = Candidate(text, 'mmvsa', 'a', channels_last=True, with_cp=True, backend='torch')
    assert parse_candidate(text) == expected
    assert parse_candidate('b/c.py').source == 'config'
    assert parse_candidate('official:a', 'root').root == 'root'


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        ('hub:a', "unknown source 'hub'"),
        ('a@int4', "unknown option 'int4'"),
        ('a@int8', 'needs a runtime'),
        ('a@onnxruntime,bf16', 'does not compute in bfloat16'),
        ('a@openvino,compile', 'takes no option of torch'),
        ('timm:a@cells', 'cells is for models of mmvsa'),
        ('a@backend=none', "'none'"),
        ('official:a', 'needs --official'),
        ('timm:a@backend=torch', 'for models of mmvsa'),
    ],
)
def test_wrong_options_are_named(wrong: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_candidate(wrong)


def test_options_reach_the_model() -> None:
    work = Workload(parse_candidate('swin-t-vsa@with_cp,backend=torch'), 'forward', 1, (32, 32))
    model = work.build_model()
    assert model.backbone.with_cp
    attentions = [m for m in model.modules() if isinstance(m, SampledWindowAttention)]
    assert {m.backend for m in attentions} == {'torch'}
    # Windows lie between pixels, as those of the official code do.
    assert all(m.transform.regressor.weight.abs().min() > 0 for m in attentions)


class Small(nn.Module):
    """A classifier that counts its passes."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(4, 1000)
        self.modes: list[bool] = []

    def forward(self, images):
        self.modes.append(self.training)
        return self.head(self.layers(images))


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
@pytest.mark.parametrize('task', candidates.TASKS)
def test_tasks(monkeypatch: pytest.MonkeyPatch, task: str, dtype: str) -> None:
    """Modes, gradients and the step of the optimizer are those of the task."""
    model = Small()
    monkeypatch.setitem(candidates._BUILDERS, 'timm', lambda work: model)
    before = model.head.weight.detach().clone()
    work = Workload(Candidate('a', 'timm', 'a', dtype, channels_last=True), task, 2, (16, 8))
    work.build()()
    assert model.modes == [task != 'forward']
    assert (model.head.weight.grad is not None) == (task != 'forward')
    assert bool((model.head.weight != before).any()) == (task == 'train')


def test_a_detector_runs_and_a_classifier_is_refused() -> None:
    work = Workload(parse_candidate(f'{DETECTOR}@with_cp'), 'backward', 1, (64, 96))
    model = work.build_model()
    assert model.backbone.with_cp
    _, loss = work._detector_calls(model.train())
    loss().backward()
    assert all(parameter.grad is not None for parameter in model.backbone.parameters())
    refused = dataclasses.replace(work, candidate=parse_candidate(str(CLASSIFIER)))
    with pytest.raises(ValueError, match='no config of a detector'):
        refused.build()


def test_official_classifiers_take_squares() -> None:
    work = Workload(parse_candidate('official:a', 'root'), 'forward', 1, (64, 96))
    with pytest.raises(ValueError, match=r'squares.*\(64, 96\)'):
        work.build()
