"""Cases of test_triton_attention.py, run in a process with TRITON_INTERPRET=1.

Not collected by pytest: the interpreter must be chosen before Triton is imported.
"""

import json
import sys

import torch

from mmvsa.models import WindowedAttention
from mmvsa.ops.torch_sampling import sample_torch
from mmvsa.ops.triton_attention import attend_triton

# dtype, window, head width, H, W, top, left, with bias
KERNEL_CASES = {
    'float32': (torch.float32, 4, 16, 6, 7, 0, 0, True),
    'padded everywhere': (torch.float32, 7, 20, 9, 8, 2, 3, True),
    'no bias': (torch.float32, 4, 8, 5, 7, 1, 0, False),
    'blocks of keys': (torch.float32, 9, 8, 10, 8, 0, 0, True),
    'widest head': (torch.float32, 7, 128, 7, 7, 0, 0, True),
    'float16': (torch.float16, 4, 16, 6, 7, 1, 0, True),
    'bfloat16': (torch.bfloat16, 4, 24, 5, 7, 1, 0, True),
}


def reference(q, kv, points, bias, scale, window_size, top, left):
    """The same in float64 and plain PyTorch."""
    _, height, width, heads, d = q.shape
    rows, columns = points.shape[1:3]
    k, v = sample_torch(kv, points).split(d, -1)  # B, nH, nW, heads, N, d
    right, bottom = columns * window_size - width - left, rows * window_size - height - top
    q = torch.nn.functional.pad(q, (0, 0, 0, 0, left, right, top, bottom))
    q = q.unflatten(2, (columns, -1)).unflatten(1, (rows, -1))  # B, nH, ws, nW, ws, heads, d
    q = q.permute(0, 1, 3, 5, 2, 4, 6).flatten(4, 5)
    scores = q @ k.transpose(-1, -2) * scale
    if bias is not None:
        scores = scores + bias
    out = (scores.softmax(-1) @ v).unflatten(4, (window_size, window_size))
    out = out.permute(0, 1, 4, 2, 5, 3, 6).flatten(3, 4).flatten(1, 2)
    return out[:, top : top + height, left : left + width]


def make_inputs(dtype, window_size, d, height, width, top, left, with_bias):
    torch.manual_seed(0)
    rows, columns = -(-height // window_size), -(-width // window_size)
    count = window_size**2
    q = torch.randn(2, height, width, 2, d).to(dtype)
    kv = torch.randn(2, height, width, 2, 2 * d).to(dtype)
    # also outside the map
    points = torch.rand(2, rows, columns, 2, count, 2) * torch.tensor([width, height]) * 1.5 - 2
    bias = torch.randn(2, count, count) if with_bias else None
    return [q, kv, points, bias]


def kernel_errors(case):
    """Relative errors of the output and of every gradient against the float64 reference."""
    _, window_size, d, _, _, top, left, _ = case
    inputs = make_inputs(*case)
    options = (d**-0.5, window_size, top, left)
    ours = [None if x is None else x.clone().requires_grad_() for x in inputs]
    exact = [None if x is None else x.double().requires_grad_() for x in inputs]
    out, expected = attend_triton(*ours, *options), reference(*exact, *options)
    gradient = torch.randn_like(expected).to(out.dtype)
    leaves, exact_leaves = ([x for x in xs if x is not None] for xs in (ours, exact))
    grads = torch.autograd.grad(out, leaves, gradient)
    expected_grads = torch.autograd.grad(expected, exact_leaves, gradient.double())
    pairs = zip((out, *grads), (expected, *expected_grads), strict=True)
    return [relative_error(a, b) for a, b in pairs]


def relative_error(ours, exact):
    return ((ours.double() - exact).abs().max() / exact.abs().max()).item()


def module_errors(compiled):
    """The attention module by the kernel against the torch backend: output and gradients."""
    torch.manual_seed(0)
    attention = WindowedAttention(32, 2, window_size=4, padding='center')
    torch.nn.init.normal_(attention.transform.regressor.weight, std=0.3)
    x = torch.randn(1, 7, 9, 32, requires_grad=True)
    call = attention
    if compiled:
        call = torch.compile(attention, fullgraph=True, backend='aot_eager')
    leaves = (x, *attention.parameters())
    results = []
    for function, backend in ((call, 'triton'), (attention, 'torch')):
        out = function(x, backend=backend)
        results.append((out, *torch.autograd.grad(out.sin().sum(), leaves)))
    return [relative_error(a, b.double()) for a, b in zip(*results, strict=True)]


def opcheck():
    q, kv, points, bias = make_inputs(torch.float32, 4, 16, 4, 5, 0, 0, True)
    inputs = [x.requires_grad_() for x in (q, kv, points, bias)]
    op = torch.ops.mmvsa.varied_attention.default
    torch.library.opcheck(op, (*inputs, 0.25, 4, 0, 0))


def not_a_number_stays():
    """A NaN point makes its window NaN, and no other."""
    q, kv, points, bias = make_inputs(torch.float32, 4, 16, 4, 8, 0, 0, True)
    points[0, 0, 1, 0, 3] = float('nan')
    out = attend_triton(q, kv, points, bias, 0.25, 4)
    bad = out.isnan().any(-1)
    return bool(bad[0, :, 4:, 0].all()) and int(bad.sum()) == 16


def main():
    opcheck()
    errors = {name: kernel_errors(case) for name, case in KERNEL_CASES.items()}
    errors['module'] = module_errors(compiled=False)
    errors['compiled module'] = module_errors(compiled=True)
    json.dump({'errors': errors, 'nan': not_a_number_stays()}, sys.stdout)


if __name__ == '__main__':
    main()
