import sys
import textwrap
from pathlib import Path

import pytest
import torch
from official import PACKAGES, build_official, move_to, official_environment

MODEL = """
import torch
import torch.nn as nn
from timm.models.helpers import load_pretrained
from timm.models.layers import DropPath, to_2tuple, trunc_normal_
from timm.models.registry import register_model

class Net(nn.Module):
    def __init__(self, img_size):
        super().__init__()
        print('noise')
        self.coords = torch.ones(img_size).cuda()
        self.head = nn.Linear(3, 5)

    def forward(self, x):
        return self.head((x * self.coords).mean((2, 3)))

@register_model
def tiny(pretrained=False, **kwargs):
    return Net(**kwargs)
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one small model that needs what the official code needs."""
    package = tmp_path / 'Image-Classification' / 'vitaev2_vsa'
    package.mkdir(parents=True)
    (package / '__init__.py').write_text('from .models import *\n')
    (package / 'models.py').write_text(textwrap.dedent(MODEL))
    for name in [name for name in sys.modules if name.startswith(PACKAGES)]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


def test_a_checkout_is_loaded_unchanged(checkout: Path, capsys: pytest.CaptureFixture) -> None:
    before = list(sys.path), torch.Tensor.cuda
    model = build_official(checkout, 'tiny', size=8)
    assert model(torch.zeros(2, 3, 8, 8)).shape == (2, 5)
    assert capsys.readouterr().out == ''
    assert (sys.path, torch.Tensor.cuda) == before
    assert not list(checkout.rglob('*.pyc'))
    assert move_to(model, 'meta').coords.device.type == 'meta'


def test_errors_say_where(checkout: Path) -> None:
    with pytest.raises(ValueError, match=r"no model 'huge' in .*\['tiny'\]"):
        build_official(checkout, 'huge')
    with pytest.raises(ValueError, match='no checkout of ViTAE-VSA'):
        build_official(checkout / 'Image-Classification', 'tiny')


def test_cuda_is_restored_after_an_error(checkout: Path) -> None:
    cuda = torch.Tensor.cuda
    with pytest.raises(KeyError), official_environment(checkout):  # noqa: PT012
        assert torch.ones(1).cuda().device.type == 'cpu'
        raise KeyError
    assert torch.Tensor.cuda is cuda
