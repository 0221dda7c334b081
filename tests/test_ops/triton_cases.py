"""Cases of test_triton_attention.py, run in a process with TRITON_INTERPRET=1.

Not collected by pytest: the interpreter must be chosen before Triton is imported.
"""

import json
import sys

import torch
import torch.nn.functional as F

from mmvsa.ops import WindowGeometry
from mmvsa.ops.torch_sampling import sample_torch
from mmvsa.ops.triton_attention import attend_triton

# dtype, window, head width, H, W, top, left, with bias, and options
CASES = {
    'non-square': (torch.float32, 4, 16, 4, 7, 0, 0, True, {'batch': 2}),
    'padded everywhere': (torch.float32, 7, 20, 9, 8, 2, 3, True, {}),
    'no bias, pushed': (torch.float32, 4, 32, 5, 7, 1, 0, False, {'push': 0.5}),
    'many windows': (torch.float32, 1, 16, 1, 17, 0, 0, False, {}),
    'samples written': (torch.float32, 9, 20, 10, 8, 4, 0, True, {}),
    'separate windows': (torch.float32, 4, 16, 4, 7, 0, 1, True, {'separate': True, 'push': 0.5}),
    'float16': (torch.float16, 8, 24, 8, 8, 0, 0, True, {}),
    'bfloat16': (torch.bfloat16, 5, 48, 6, 7, 2, 0, True, {}),
}
# Head widths, and rows of padding before the map.
SWEEP_DIMS = ((16, 0), (20, 2), (48, 0), (64, 2), (128, 1))
SWEEP = {
    f'{name}, ws {ws}, d {d}, top {top}': (dtype, ws, d, ws + 1, ws - 1, top, min(top, 1), True, {})
    for name, dtype in (
        ('float32', torch.float32),
        ('float16', torch.float16),
        ('bfloat16', torch.bfloat16),
    )
    for ws in (4, 5, 7, 8, 12, 16)
    # Large windows take the same kernels at every width, and minutes in the interpreter.
    for d, top in (SWEEP_DIMS if ws <= 8 else SWEEP_DIMS[1:4:2])
}


def points_of(windows, window_size, top, left):
    """Sampling points (B, nH, nW, heads, N, 2) of homographies around each window's center."""
    _, rows, columns, _, _ = windows.shape
    half = (window_size - 1) / 2
    line = torch.arange(window_size, dtype=windows.dtype) - half
    grid_y, grid_x = torch.meshgrid(line, line, indexing='ij')
    grid_x, grid_y = grid_x.flatten(), grid_y.flatten()
    a, b, c, d, e, f, g, h = windows.unsqueeze(-1).unbind(-2)
    depth = 1 + g * grid_x + h * grid_y
    depth = torch.where(depth == 0, 1e-6, depth)
    x = (a * grid_x + b * grid_y + c) / depth
    y = (d * grid_x + e * grid_y + f) / depth
    center_y = torch.arange(rows, dtype=windows.dtype) * window_size + half - top
    center_x = torch.arange(columns, dtype=windows.dtype) * window_size + half - left
    return torch.stack((x + center_x[:, None, None], y + center_y[:, None, None, None]), -1)


class Push(torch.autograd.Function):
    """The identity; adds a push per normalized unit to the gradient of points off the map."""

    @staticmethod
    def forward(ctx, points, start, size, strength):
        half = (torch.tensor(size, dtype=points.dtype) - 1) / 2
        distance = points - (torch.tensor(start, dtype=points.dtype) + half)
        ctx.push = (distance.abs() > 1.001 * half) * distance.sign() * strength / half
        return points.view_as(points)

    @staticmethod
    def backward(ctx, gradient):
        return gradient + ctx.push, None, None, None


def reference(qkv, windows, geometry, *, scale, bias, push=0.0):
    """The same in float64 and plain PyTorch."""
    q, k, v = qkv.unbind(3)
    _, height, width, heads, _ = q.shape
    (rows, columns), window_size = geometry.grid, geometry.window_size
    top, left = geometry.top, geometry.left
    points = points_of(windows, window_size, top, left)
    size = (columns * window_size, rows * window_size)
    if push:
        points = Push.apply(points, (-left, -top), size, push)
    key_points, value_points = points[:, :, :, :heads], points[:, :, :, -heads:]
    k, v = sample_torch(k, key_points), sample_torch(v, value_points)
    right, bottom = size[0] - width - left, size[1] - height - top
    q = F.pad(q, (0, 0, 0, 0, left, right, top, bottom))
    q = q.unflatten(2, (columns, -1)).unflatten(1, (rows, -1))  # B, nH, ws, nW, ws, heads, d
    q = q.permute(0, 1, 3, 5, 2, 4, 6).flatten(4, 5)
    scores = q @ k.transpose(-1, -2) * scale
    if bias is not None:
        scores = scores + bias
    out = (scores.softmax(-1) @ v).unflatten(4, (window_size, window_size))
    out = out.permute(0, 1, 4, 2, 5, 3, 6).flatten(3, 4).flatten(1, 2)
    return out[:, top : top + height, left : left + width].flatten(-2)


def make_inputs(
    dtype, window_size, d, height, width, top, left, with_bias, separate=False, batch=1
):
    """Inputs whose windows move, turn, shear, change in size and reach off the map."""
    torch.manual_seed(0)
    rows, columns = (-(-(n + m) // window_size) for n, m in ((height, top), (width, left)))
    qkv = torch.randn(batch, height, width, 3, 2, d).to(dtype)
    windows = torch.randn(batch, rows, columns, 4 if separate else 2, 8)
    spread = torch.tensor([0.4, 0.3, 2, 0.3, 0.4, 2, 0.3 / window_size, 0.3 / window_size])
    windows = windows * spread + torch.tensor([1.0, 0, 0, 0, 1, 0, 0, 0])
    bias = torch.randn(1, 2, window_size**2, window_size**2) if with_bias else None
    return [qkv, windows, bias], WindowGeometry((height, width), window_size, top, left)


def errors(case):
    """Relative errors of the output and of every gradient against the float64 reference."""
    *case, options = case
    options = dict(options)
    sizes = {key: options.pop(key) for key in ('separate', 'batch') if key in options}
    inputs, geometry = make_inputs(*case, **sizes)
    options['scale'] = case[2] ** -0.5
    leaves = [None if x is None else x.clone().requires_grad_() for x in inputs]
    exact = [None if x is None else x.double().requires_grad_() for x in inputs]
    out = attend_triton(*leaves[:2], geometry, bias=leaves[2], **options)  # type: ignore[call-arg]
    expected = reference(*exact[:2], geometry, bias=exact[2], **options)  # type: ignore[call-arg]
    gradient = torch.randn_like(expected).to(out.dtype)
    leaves, exact = ([x for x in xs if x is not None] for xs in (leaves, exact))
    grads = torch.autograd.grad(out, leaves, gradient)
    expected_grads = torch.autograd.grad(expected, exact, gradient.double())
    pairs = zip((out, *grads), (expected, *expected_grads), strict=True)
    return [relative_error(a, b) for a, b in pairs]


def relative_error(value, exact):
    return ((value.double() - exact).abs().max() / exact.abs().max()).item()


def small(width=8):
    return make_inputs(torch.float32, 4, 16, 4, width, 0, 0, True)


def opcheck():
    (qkv, windows, bias), _ = small(5)
    inputs = [x.requires_grad_() for x in (qkv, windows, bias[0].detach())]
    ops = torch.ops.mmvsa
    torch.library.opcheck(ops.varied_attention.default, (*inputs, 0.25, 4, 0, 0, 0.0))
    torch.library.opcheck(ops.sample_windows.default, (*inputs[:2], 4, 0, 0, 0.0))


def compiled_errors():
    """Attention compiled as one graph against the same in eager mode."""
    inputs, geometry = small(5)
    for x in inputs:
        x.requires_grad_()

    def attend(qkv, windows, bias):
        return attend_triton(qkv, windows, geometry, bias=bias, scale=0.25).sin()

    compiled = torch.compile(attend, fullgraph=True, backend='aot_eager')
    results = []
    for function in (attend, compiled):
        out = function(*inputs)
        results.append((out, *torch.autograd.grad(out.sum(), inputs)))
    return [relative_error(a, b.double()) for a, b in zip(*results, strict=True)]


def query_bias_errors():
    """A bias that depends on the queries, and attention with it written out."""
    (qkv, windows, bias), geometry = small(5)
    options = dict(scale=0.25, push=0.5)
    out = attend_triton(qkv, windows, geometry, bias=lambda q: q.mean() + bias, **options)
    expected = reference(qkv.double(), windows.double(), geometry, bias=bias.double(), **options)
    return [relative_error(out, expected)]  # a constant does not change the softmax


def not_a_number_stays():
    """A NaN window makes its window NaN, and no other."""
    (qkv, windows, bias), geometry = small()
    windows[0, 0, 1, 0, 3] = float('nan')
    out = attend_triton(qkv, windows, geometry, bias=bias, scale=0.25)
    bad = out.unflatten(-1, (2, 16)).isnan().any(-1)
    return bool(bad[0, :, 4:, 0].all()) and int(bad.sum()) == 16


def far_windows_read_zero():
    """Windows at 1e30 pixels read zeros and give the map no gradient; no index overflows."""
    (qkv, windows, bias), geometry = small(4)
    windows[..., 2] = 1e30
    qkv.requires_grad_()
    out = attend_triton(qkv, windows, geometry, bias=bias, scale=0.25)
    (grad,) = torch.autograd.grad(out.sum(), qkv)
    return not out.any() and not grad.any()


def reruns_are_equal():
    """Every gradient is the same, bit by bit, under deterministic algorithms.

    They also fill new tensors with NaN, which shows what a kernel does not write.
    """
    torch.use_deterministic_algorithms(True)
    inputs, geometry = small()
    for x in inputs:
        x.requires_grad_()
    runs = []
    for _ in range(2):
        out = attend_triton(*inputs[:2], geometry, bias=inputs[2], scale=0.25)  # type: ignore[misc]
        runs.append((out, *torch.autograd.grad(out.square().sum(), inputs)))
    torch.use_deterministic_algorithms(False)
    return all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


def tf32_is_read_after_the_new_setting():
    """The old flag raises from then on, so it must not be read."""
    (qkv, windows, bias), geometry = small(4)
    torch.backends.cuda.matmul.fp32_precision = 'ieee'
    out = attend_triton(qkv, windows, geometry, bias=bias, scale=0.25)
    return bool(out.isfinite().all())


def module_errors():
    """The attention of every transform by the kernels against the torch backend, with gradients."""
    from mmvsa.models import SampledWindowAttention

    found = []
    for transform in ('VariedSizeWindow', 'RotatedVariedSizeWindow', 'Quadrangle'):
        torch.manual_seed(0)
        attention = SampledWindowAttention(
            32, 2, 4, padding='center', transform=dict(type=transform, coords_lambda=0.1)
        )
        torch.nn.init.normal_(attention.transform.regressor.weight, std=0.3)
        x = torch.randn(1, 4, 6, 32, requires_grad=True)
        leaves = (x, *attention.parameters())
        results = []
        for attention.backend in ('triton', 'torch'):
            out = attention(x)
            results.append((out, *torch.autograd.grad(out.sin().sum(), leaves)))
        found += [relative_error(a, b.double()) for a, b in zip(*results, strict=True)]
    return found


def main():
    """Print the errors of the cases, and the results of the functions, whose names are given."""
    cases, errors_found, results = CASES | SWEEP, {}, {}
    for name in sys.argv[1:]:
        if name in cases:
            errors_found[name] = errors(cases[name])
        else:
            results[name] = globals()[name]()
    json.dump({'errors': errors_found, 'checks': results}, sys.stdout)


if __name__ == '__main__':
    main()
