"""The kernels compile for Ampere and Hopper; that takes no GPU. Says nothing about speed."""

import pytest
import torch

triton = pytest.importorskip('triton')

MAPS = ('q_map', 'kv_map', 'out_map', 'grad_map')
# Shared memory of a program on A100 and H100.
SHARED_MEMORY = {80: 163 * 1024, 90: 227 * 1024}


def compile_kernel(name, dtype, window_size, d, capability, num_warps=8):
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from mmvsa.ops import triton_kernels

    kernel = getattr(triton_kernels, name).fn
    q = torch.empty(1, 1, 1, 1, d, dtype={'fp32': torch.float32}.get(dtype, torch.bfloat16))
    constants = triton_kernels._meta(q, q, window_size)
    signature = {}
    for argument in kernel.arg_names:
        if argument in constants:
            signature[argument] = 'constexpr'
        elif argument in MAPS:
            signature[argument] = f'*{dtype}'
        elif argument in ('points', 'bias', 'lse') or argument.startswith('grad_'):
            signature[argument] = '*fp32'
        else:
            signature[argument] = 'fp32' if argument == 'scale' else 'i32'
    pointers = [i for i, name in enumerate(signature) if signature[name].startswith('*')]
    aligned = {(i,): [['tt.divisibility', 16]] for i in pointers}
    source = ASTSource(kernel, signature, constexprs=constants, attrs=aligned)
    options = {'num_warps': num_warps, 'num_stages': 1}
    return triton.compile(source, target=GPUTarget('cuda', capability, 32), options=options)


@pytest.mark.parametrize('capability', [80, 90])
@pytest.mark.parametrize('dtype, window_size, d', [('bf16', 7, 32), ('fp32', 12, 128)])
@pytest.mark.parametrize('name', ['forward_kernel', 'backward_kernel'])
def test_compiles(name, dtype, window_size, d, capability):
    compiled = compile_kernel(name, dtype, window_size, d, capability)
    assert compiled.metadata.shared <= SHARED_MEMORY[capability]
