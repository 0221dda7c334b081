"""Whatever a public constructor is given, it works or names the argument that is wrong."""

import inspect
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers.archs import CASES, registered_backbones

from mmvsa.models import (
    FullAttention,
    Quadrangle,
    RotatedVariedSizeWindow,
    SampledWindowAttention,
    SimplePyramid,
    VariedSizeWindow,
    WindowAttention,
)
from mmvsa.models.layers import (
    Block,
    DecomposedPosition,
    Mlp,
    ParallelConvolution,
    PerformerAttention,
    PyramidReduction,
    WindowGeometry,
)

# Values that are right for some arguments and wrong for most.
ODD = [0, -1, 1, 2, 3, 1.0, 0.5, 1.5, -0.1, True, None, 'window', 'x', (), (1, 2), [8], {}]


def image(channels: int = 8, size: tuple[int, int] = (6, 9)) -> torch.Tensor:
    return torch.randn(2, *size, channels)


def run_on_map(module: Any) -> torch.Tensor:
    """Run a layer on a map of its width."""
    linear = next(m for m in module.modules() if isinstance(m, torch.nn.Linear))
    return module(image(linear.in_features))


def run_on_image(backbone: Any) -> Any:
    """Run a backbone on an image of its channels."""
    return backbone(torch.randn(1, backbone.in_channels, 40, 24))


def run_convolution(module: torch.nn.Module, unit: int = 4) -> torch.Tensor:
    first = next(m for m in module.modules() if isinstance(m, torch.nn.Conv2d))
    stride = first.stride[0] * unit
    return module(torch.randn(2, first.in_channels, 2 * stride, 3 * stride))


def run_transform(transform: torch.nn.Module) -> torch.Tensor:
    x = image(transform.regressor.in_features)
    return transform(x, WindowGeometry.of((6, 9), 4)).points


# Constructor -> (right values of its arguments, how to run what it builds).
LAYERS: dict[type, tuple[dict[str, list[Any]], Callable[[Any], Any]]] = {
    FullAttention: (
        dict(
            embed_dims=[8],
            num_heads=[1, 2],
            out_dims=[None, 16],
            qkv_bias=[True, False],
            qk_scale=[None, 0.3],
            attn_drop=[0.0, 0.5],
            proj_drop=[0.0, 0.5],
            value_skip=[True, False],
            position=['decomposed'],
            map_size=[(6, 9), (3, 4)],
        ),
        run_on_map,
    ),
    WindowAttention: (
        dict(
            embed_dims=[8],
            num_heads=[1, 2],
            window_size=[4, 7],
            padding_token=['zero', 'projected'],
            position=[None, 'table', 'decomposed', ('table', 'decomposed')],
            padding=['end', 'center'],
            attn_drop=[0.0, 0.5],
        ),
        run_on_map,
    ),
    SampledWindowAttention: (
        dict(
            embed_dims=[8],
            num_heads=[1, 2],
            window_size=[4, 7],
            transform=['VariedSizeWindow', dict(type='Quadrangle', coords_lambda=0.1)],
            separate_windows=[True, False],
            backend=['auto', 'torch'],
            position=['table', 'decomposed'],
            padding=['end', 'center'],
            proj_drop=[0.0, 0.5],
        ),
        run_on_map,
    ),
    PerformerAttention: (
        dict(embed_dims=[8], out_dims=[8, 16], feature_ratio=[0.5, 1.0], proj_drop=[0.0, 0.5]),
        run_on_map,
    ),
    DecomposedPosition: (
        dict(size=[(4, 6)], head_dims=[4]),
        lambda module: module(torch.randn(1, 2, 24, module.rel_pos_h.shape[1]), (4, 6)),
    ),
    Mlp: (
        dict(embed_dims=[8], hidden_dims=[16], drop=[0.0, 0.5]),
        run_on_map,
    ),
    ParallelConvolution: (
        dict(
            channels=[(8, 16, 16, 8)],
            strides=[(1, 1, 1), (2, 2, 1)],
            groups=[1, 4],
            norms=[None, (False, True, False)],
            last_activation=[True, False],
            kernel_size=[1, 3],
        ),
        run_convolution,
    ),
    PyramidReduction: (
        dict(
            in_channels=[8],
            embed_dims=[4],
            stride=[1, 2, 4],
            kernel_size=[3, 7],
            dilations=[(1,), (1, 2, 3)],
        ),
        run_convolution,
    ),
    Block: (
        dict(
            attention=[FullAttention(8, 2)],
            convolution=[None],
            position_kernel=[None, 3, 7],
            position_in_shortcut=[True, False],
            mlp_ratio=[1.0, 4],
            drop=[0.0, 0.5],
            drop_path=[0.0, 0.5],
            norm_eps=[1e-6],
        ),
        run_on_map,
    ),
    SimplePyramid: (
        dict(in_channels=[8]),
        lambda module: module([torch.randn(1, module.out_channels[0], 4, 6)]),
    ),
    **{
        transform: (
            dict(
                embed_dims=[8],
                num_heads=[2],
                regressor_init=['zero', 'torch'],
                offset_unit=['axis', 'swapped', 'padded'],
                coords_lambda=[0.0, 0.5],
                **({'skip_single_window': [True, False]} if transform is Quadrangle else {}),
            ),
            run_transform,
        )
        for transform in (VariedSizeWindow, RotatedVariedSizeWindow, Quadrangle)
    },
}
BACKBONE_OPTIONS: dict[str, list[Any]] = dict(
    attention=[None, 'vsa', dict(type='window', padding='center')],
    drop_rate=[0.0, 0.1],
    attn_drop_rate=[0.0, 0.1],
    drop_path_rate=[0.0, 0.1],
    qkv_bias=[True, False],
    in_channels=[3],
    frozen_stages=[-1, 0, 1],
    norm_eval=[True, False],
    with_cp=[True, False],
    init_cfg=[None],
)


def draw(generator: random.Random, good: dict[str, list[Any]]) -> dict[str, Any]:
    """Draw right values, and for up to two arguments any value at all."""
    chosen = {name: generator.choice(values) for name, values in good.items()}
    for name in generator.sample(sorted(good), k=min(generator.choice([0, 1, 1, 2]), len(good))):
        chosen[name] = generator.choice(ODD)
    return chosen


def named(message: str, arguments: dict[str, Any]) -> bool:
    """Whether a message names one of the arguments, or a key of a dict among them."""
    names = set(arguments)
    for value in arguments.values():
        names |= set(value) if isinstance(value, dict) else set()
    return bool(set(re.findall(r'\w+', message)) & {str(name) for name in names})


def check(cls: Callable[..., Any], run: Callable[[Any], Any], arguments: dict[str, Any]) -> bool:
    """Build and run, or see that the error names an argument; return whether it was built."""
    try:
        module = cls(**arguments)
    except (ValueError, TypeError) as error:
        assert named(str(error), arguments), (cls.__name__, arguments, str(error))  # noqa: PT017
        return False
    outputs = run(module)
    outputs = [outputs] if isinstance(outputs, torch.Tensor) else outputs
    assert all(out.isfinite().all() for out in outputs), (cls.__name__, arguments)
    return True


@pytest.mark.parametrize('cls', LAYERS, ids=lambda cls: cls.__name__)
def test_layers(cls: type) -> None:
    """40 sets of each of 13 layers."""
    good, run = LAYERS[cls]
    generator = random.Random(cls.__name__)
    built = [check(cls, run, draw(generator, good)) for _ in range(40)]
    assert any(built) and not all(built)


@pytest.mark.parametrize('case', CASES)
def test_backbones(case: str) -> None:
    """40 sets of options, and of keys of the arch, for each tiny arch."""
    name, arch, own, _ = CASES[case]
    cls, generator = registered_backbones()[name], random.Random(case)
    built = []
    for _ in range(40):
        arguments = {**own, **draw(generator, BACKBONE_OPTIONS)}
        changed = dict(arch)
        if generator.random() < 0.5:
            changed[generator.choice(sorted(arch))] = generator.choice(ODD)
        arguments['arch'] = changed
        built.append(
            check(cls, lambda module: module(torch.randn(1, module.in_channels, 40, 24)), arguments)
        )
    assert any(built) and not all(built)


def test_constructors_are_keyword_only_beyond_three_arguments() -> None:
    """Also in classes that no test builds."""
    import ast
    from pathlib import Path

    import mmvsa

    root = Path(mmvsa.__file__).parent
    for path in (root / 'models').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name == '__init__':
                assert len(node.args.args) <= 4, f'{path}:{node.lineno}'
            if isinstance(node, ast.Call):
                name = getattr(node.func, 'attr', getattr(node.func, 'id', ''))
                # A permutation is a list, whatever its length.
                assert len(node.args) < 6 or name == 'permute', f'{path}:{node.lineno}'
    assert 'options' not in inspect.signature(mmvsa.get_model).parameters
