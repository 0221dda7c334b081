import contextvars
import importlib

import pytest
import torch
from torch import nn

from mmvsa.models.layers import Mlp, ParallelConvolution, WindowedAttention, recompute


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def channels_last(*shape, dtype=torch.float64):
    x = torch.randn(shape, dtype=dtype).to(memory_format=torch.channels_last)
    return x.requires_grad_()


def convolution_branch(training=True, frozen=False):
    branch = ParallelConvolution((4, 8, 6, 4), groups=2).double().train(training)
    for norm in (branch[1], branch[4]):
        nn.init.normal_(norm.weight, 1, 0.3)
        nn.init.normal_(norm.bias)
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        norm.requires_grad_(not frozen)
    return branch


def keep_everything(monkeypatch):
    for name in ('attention', 'convolutions', 'linear'):
        module = importlib.import_module(f'mmvsa.models.layers.{name}')
        monkeypatch.setattr(module, 'recompute', lambda function, *x, **_: function(*x))


def step(module, x, autocast=False):
    """Output, gradients and buffers of one step."""
    module.zero_grad()
    x.grad = None
    torch.manual_seed(1)
    with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
        out = module(x)
    out.float().square().sum().backward()
    gradients = [p.grad.clone() for p in module.parameters() if p.grad is not None]
    return [out.detach(), x.grad.clone(), *gradients, *(b.clone() for b in module.buffers())]


@pytest.mark.parametrize('training, frozen', [(True, False), (True, True), (False, False)])
def test_convolution_branch_as_if_everything_were_kept(monkeypatch, training, frozen):
    x = channels_last(2, 4, 5, 6)
    torch.manual_seed(2)
    actual = step(convolution_branch(training, frozen), x)
    keep_everything(monkeypatch)
    torch.manual_seed(2)
    expected = step(convolution_branch(training, frozen), x)
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        assert torch.equal(a, e)


def test_running_statistics_move_once():
    branch = ParallelConvolution((2, 2, 2, 2)).double().train()
    nn.init.dirac_(branch[0].weight)
    nn.init.zeros_(branch[0].bias)
    x = channels_last(3, 2, 4, 4)
    branch(x).sum().backward()
    # 0.9 times the start (0) and 0.1 times the mean of the batch
    torch.testing.assert_close(branch[1].running_mean, 0.1 * x.detach().mean((0, 2, 3)))
    assert branch[1].num_batches_tracked == 1


def test_autocast_gradients_as_if_everything_were_kept(monkeypatch):
    x = channels_last(2, 4, 5, 6, dtype=torch.float32)
    branch = convolution_branch().float()
    state = {name: value.clone() for name, value in branch.state_dict().items()}
    actual = step(branch, x, autocast=True)
    branch.load_state_dict(state)
    keep_everything(monkeypatch)
    for a, e in zip(actual, step(branch, x, autocast=True), strict=True):
        torch.testing.assert_close(a, e)


@pytest.mark.parametrize('drop', [0.0, 0.5])
def test_mlp_as_if_everything_were_kept(monkeypatch, drop):
    mlp, norm = Mlp(6, 10, drop=drop).double(), nn.LayerNorm(6).double()
    x = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
    whole = nn.ModuleList([mlp, norm])
    whole.forward = lambda x: mlp(x, norm)
    actual = step(whole, x)
    keep_everything(monkeypatch)
    for a, e in zip(actual, step(whole, x), strict=True):
        assert torch.equal(a, e)
    torch.testing.assert_close(mlp.eval()(x, norm), mlp(norm(x)))


@pytest.mark.parametrize('drop', [0.0, 0.5])
@pytest.mark.parametrize('transform', ['VariedSizeWindow', None])
def test_attention_as_if_everything_were_kept(monkeypatch, transform, drop):
    attention = WindowedAttention(8, 2, 3, transform=transform, attn_drop=drop).double()
    for parameter in attention.parameters():
        nn.init.normal_(parameter, std=0.3)
    x = torch.randn(2, 5, 7, 8, dtype=torch.float64, requires_grad=True)
    actual = step(attention, x)
    keep_everything(monkeypatch)
    for a, e in zip(actual, step(attention, x), strict=True):
        assert torch.equal(a, e)


def kept_elements(function):
    """Elements of the tensors kept for the backward pass, parameters not counted."""
    kept = {}

    def pack(tensor):
        if not isinstance(tensor, nn.Parameter) and tensor.grad_fn is not None:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = function()
    assert out.requires_grad
    return sum(tensor.numel() for tensor in kept.values())


def test_only_outputs_of_convolutions_are_kept():
    branch, x = convolution_branch(), channels_last(2, 4, 5, 6)
    assert kept_elements(lambda: branch(x)) == 2 * 5 * 6 * (8 + 6)


def test_only_the_hidden_layer_before_its_activation_is_kept():
    mlp, norm = Mlp(4, 16), nn.LayerNorm(4)
    x = torch.randn(5, 4, requires_grad=True)
    assert kept_elements(lambda: mlp(x, norm)) == 5 * 16


@pytest.mark.parametrize('transform', ['VariedSizeWindow', None])
def test_attention_keeps_no_weights(transform):
    def kept(window):
        attention = WindowedAttention(8, 2, window, transform=transform)
        x = torch.randn(1, 12, 12, 8, requires_grad=True)
        return kept_elements(lambda: attention(x))

    # The weights grow with the window; what is kept in their place shrinks: one window's transform
    # in place of 36.
    assert kept(12) <= kept(2)


def test_a_graph_can_be_used_twice():
    branch, x = convolution_branch(), channels_last(2, 4, 5, 6)
    loss = branch(x).square().sum()
    first = torch.autograd.grad(loss, x, retain_graph=True)[0]
    assert torch.equal(torch.autograd.grad(loss, x)[0], first)


def test_synchronised_norms_are_not_repeated():
    branch = nn.SyncBatchNorm.convert_sync_batchnorm(convolution_branch())
    calls = []
    branch[1].forward = lambda x: calls.append(1) or x * 1
    branch[4].forward = lambda x: x * 1
    branch(channels_last(2, 4, 5, 6)).sum().backward()
    assert len(calls) == 1


def test_the_backward_pass_sees_the_forwards_context():
    variable, seen = contextvars.ContextVar('variable', default='outside'), []

    def function(x):
        seen.append(variable.get())
        return x.sin().sin()

    x = torch.randn(3, requires_grad=True)
    token = variable.set('inside')
    out = recompute(function, x)
    variable.reset(token)
    out.sum().backward()
    assert seen == ['inside', 'inside']


def test_compiles_into_one_graph():
    branch = convolution_branch()
    state = {name: value.clone() for name, value in branch.state_dict().items()}
    x = channels_last(2, 4, 5, 6)
    expected = step(branch, x)
    branch.load_state_dict(state)
    compiled = torch.compile(branch, backend='aot_eager', fullgraph=True)
    out = compiled(x)
    torch.testing.assert_close(out, expected[0])
    branch.zero_grad()
    x.grad = None
    out.square().sum().backward()
    torch.testing.assert_close(x.grad, expected[1])
