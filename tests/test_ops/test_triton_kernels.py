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
class Figures:
    """SASS instructions in all and in the longest loop, registers, bytes of stack and shared."""

    instructions: int
    loop: int
    registers: int
    stack: int
    shared: int


def settings(name, dtype, window_size, d):
    from mmvsa.ops import triton_kernels as kernels

    key = (window_size, d, DTYPES[dtype])
    if name in ATTENTION:
        return kernels.attention_settings(*key, True, 'ieee')
    options = kernels.sampling_settings(*key, False)
    if name == 'map_kernel':
        tile = {'TILE': kernels.TILE, 'BOXES': kernels.BOXES}
        options = {**options, **tile, 'PRECISION': 'ieee', 'WIDEN': False}
    return options


def compile_kernel(name, dtype, window_size, d, capability, **options):
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from mmvsa.ops import triton_kernels

    kernel = getattr(triton_kernels, name)
    chosen = dict(settings(name, dtype, window_size, d))  # the function returns a cached one
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

    def run(option):
        command = [knobs.nvidia.cuobjdump.path, option, str(cubin)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    usage = run('--dump-resource-usage')
    registers, stack = (int(re.search(rf'{key}:(\d+)', usage)[1]) for key in ('REG', 'STACK'))
    lines = re.findall(r'/\*([0-9a-f]{4,})\*/\s+(.*?);', run('-sass'))
    code = [(int(address, 16), text) for address, text in lines if not text.startswith('NOP')]
    jumps = [(start, re.search(r'BRA.* 0x([0-9a-f]+)', text)) for start, text in code]
    back = [start - int(target[1], 16) for start, target in jumps if target]
    loop = max((length // 16 + 1 for length in back if length > 0), default=0)
    return Figures(len(code), loop, registers, stack, compiled.metadata.shared)


@pytest.mark.parametrize('capability', [80, 90])
def test_forward_is_small_enough_for_many_programs(capability, tmp_path):
    found = figures(compile_kernel('forward_kernel', 'bf16', 7, 32, capability), tmp_path)
    assert found.instructions <= 1200 and found.registers <= 104 and found.stack == 0, found


@pytest.mark.parametrize('capability', [80, 90])
def test_loop_of_backward_is_small(capability, tmp_path):
    found = figures(compile_kernel('backward_kernel', 'bf16', 7, 32, capability), tmp_path)
    assert 1000 <= found.loop <= 1700 and found.stack == 0, found


@pytest.mark.slow
@pytest.mark.parametrize('capability', [80, 90])
@pytest.mark.parametrize('d', [32, 64])
@pytest.mark.parametrize('name', [*ATTENTION, *SAMPLING])
def test_no_kernel_spills_registers(name, d, capability, tmp_path):
    window_size = 16 if name == 'sample_kernel' else 7
    found = figures(compile_kernel(name, 'bf16', window_size, d, capability), tmp_path)
    assert found.stack == 0, found


@pytest.mark.slow
@pytest.mark.parametrize('capability', [80, 90])
@pytest.mark.parametrize(('dtype', 'window_size', 'd'), [('fp16', 8, 128), ('fp32', 7, 32)])
@pytest.mark.parametrize('name', [*ATTENTION, *SAMPLING])
def test_widest_fused_heads_fit_into_shared_memory(name, dtype, window_size, d, capability):
    compiled = compile_kernel(name, dtype, window_size, d, capability)
    assert compiled.metadata.shared <= SHARED_MEMORY[capability]


def test_separate_windows_and_attention_without_bias_compile():
    compile_kernel('windows_kernel', 'bf16', 12, 32, 90, SEPARATE=True)
    compile_kernel('map_kernel', 'bf16', 12, 32, 90, SEPARATE=True)
    compile_kernel('forward_kernel', 'bf16', 7, 32, 90, HAS_BIAS=False)
