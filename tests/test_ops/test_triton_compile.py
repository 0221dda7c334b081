"""The kernels compile for Ampere and Hopper, within limits of size; that takes no GPU.

The instructions and registers of a kernel say how it was compiled, not how fast it is.
"""

import re
import subprocess
from dataclasses import dataclass

import pytest
import torch

triton = pytest.importorskip('triton')

DTYPES = {'fp32': torch.float32, 'fp16': torch.float16, 'bf16': torch.bfloat16}
MAPS = ('qkv', 'out', 'grad', 'bias', 'grad_qkv', 'grad_samples')
ATTENTION = ('forward_kernel', 'backward_kernel')
SAMPLING = ('windows_kernel', 'map_kernel', 'sample_kernel')
# Bytes of shared memory of a program on A100 and H100.
SHARED_MEMORY = {80: 163 * 1024, 90: 227 * 1024}


@dataclass
class Compiled:
    """Figures of a kernel: SASS instructions, registers, and bytes of stack and shared memory."""

    instructions: int
    loop: int
    registers: int
    stack: int
    shared: int
    sass: str


def settings(name, dtype, window_size, d, separate=False, has_bias=True):
    from mmvsa.ops import triton_kernels as kernels

    key = (window_size, d, DTYPES[dtype])
    if name in ATTENTION:
        return kernels.attention_settings(*key, has_bias, 'ieee')
    options = kernels.sampling_settings(*key, separate)
    if name == 'map_kernel':
        tile = {'TILE': kernels.TILE, 'BOXES': kernels.BOXES}
        options = {**options, **tile, 'PRECISION': 'ieee', 'WIDEN': False}
    return options


def compile_kernel(name, dtype, window_size, d, capability, **options):
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from mmvsa.ops import triton_kernels

    kernel = getattr(triton_kernels, name)
    chosen = settings(name, dtype, window_size, d)
    chosen.update(options)
    launch = {
        key: chosen.pop(key) for key in ('num_warps', 'num_stages', 'maxnreg') if key in chosen
    }
    signature = {}
    for argument in kernel.arg_names:
        if argument in chosen:
            signature[argument] = 'constexpr'
        elif argument in MAPS:
            signature[argument] = f'*{dtype}'
        elif argument in ('scale', 'push'):
            signature[argument] = 'fp32'
        elif argument in ('windows', 'boxes', 'grad_bias', 'grad_windows'):
            signature[argument] = '*fp32'
        else:
            signature[argument] = 'i32'
    pointers = [i for i, name in enumerate(signature) if signature[name].startswith('*')]
    aligned = {(i,): [['tt.divisibility', 16]] for i in pointers}
    source = ASTSource(kernel, signature, constexprs=chosen, attrs=aligned)
    return triton.compile(source, target=GPUTarget('cuda', capability, 32), options=launch)


def figures(compiled, folder):
    """Disassemble a compiled kernel with the tools that Triton carries."""
    from triton import knobs

    cubin = folder / 'kernel.cubin'
    cubin.write_bytes(compiled.asm['cubin'])

    def run(*arguments):
        command = [knobs.nvidia.cuobjdump.path, *arguments, str(cubin)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    usage = run('--dump-resource-usage')
    registers, stack = (int(re.search(rf'{key}:(\d+)', usage)[1]) for key in ('REG', 'STACK'))
    sass = run('-sass')
    lines = re.findall(r'/\*([0-9a-f]{4,})\*/\s+(.*?);', sass)
    lines = [(int(address, 16), text) for address, text in lines]
    # The code after the last EXIT is padding and out-of-line calls.
    instructions = [text for _, text in lines if not text.startswith('NOP')]
    loops = [
        (address - int(target[1], 16)) // 16 + 1
        for address, text in lines
        if (target := re.search(r'BRA(?:\.U)? (?:.*, )?(?:`\(.*\)|0x([0-9a-f]+))', text))
        and target[1]
        and int(target[1], 16) < address
    ]
    return Compiled(
        instructions=len(instructions),
        loop=max(loops, default=0),
        registers=registers,
        stack=stack,
        shared=compiled.metadata.shared,
        sass=sass,
    )
