"""Tiny archs of every registered backbone; the contract suite runs over them."""

from typing import Any

import torch
from torch import nn

from mmvsa.models.backbones import Backbone
from mmvsa.models.backbones.rvsa import ARCHS
from mmvsa.registry import MODELS

VITAEV2 = dict(
    embed_dims=(8, 8, 8, 16),
    token_dims=(16, 16, 32, 32),
    depths=(1, 1, 2, 1),
    num_heads=(2, 2, 4, 4),
    rc_heads=(2, 2, 2, 4),
    attention=('window', 'vsa', 'quadrangle', 'full'),
    nc_groups=(1, 4, 8, 8),
    rc_groups=(1, 4, 4, 8),
)
VITAE = dict(
    embed_dims=(8, 8, 16),
    token_dims=(8, 8, 32),
    depths=(0, 1, 2),
    num_heads=(1, 1, 4),
    groups=(1, 1, 8),
    reductions=('performer', 'performer', 'pyramid'),
    downsample=(4, 2, 2),
    mlp_ratio=2.0,
)
VITAE_PATCH = dict(
    token_dims=(16,),
    depths=(2,),
    num_heads=(4,),
    groups=(4,),
    reductions=('patch',),
    downsample=(16,),
    class_token=True,
    shallow_pcm=True,
)
SWIN = dict(embed_dims=8, depths=(1, 2, 1), num_heads=(1, 2, 4), window_size=4)
RVSA = dict(embed_dims=16, depth=4, num_heads=2, window_size=4)
RVSA_VITAE = {**RVSA, 'pcm_groups': 4}

POOLING = dict(
    token_dims=(8, 12, 16, 24),
    depths=(1, 1, 1, 1),
    num_heads=(1, 1, 2, 2),
    groups=(1, 4, 4, 8),
    attention=('PlainPerformer', 'full', 'full', 'full'),
    mlp_ratio=2.0,
)

# Name of the case -> (registered name, arch, further options, strides of all outputs).
# A backbone that is registered must have a case here.
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], tuple[int, ...]]] = {
    'vitaev2': ('ViTAEv2', VITAEV2, dict(out_indices=(0, 1, 2, 3)), (4, 8, 16, 32)),
    'vitae': ('ViTAE', VITAE, dict(out_indices=(0, 1, 2)), (4, 8, 16)),
    'vitae-patch': ('ViTAE', VITAE_PATCH, dict(img_size=64), (16,)),
    'pooling-vitae': ('PoolingViTAE', POOLING, {}, (4, 8, 16, 32)),
    'swin-vsa': ('SwinVSA', SWIN, dict(out_indices=(0, 1, 2)), (4, 8, 16)),
    'qformer': ('QFormer', SWIN, dict(out_indices=(0, 1, 2)), (4, 8, 16)),
    'rvsa': ('RVSA', RVSA, dict(img_size=64), (16,)),
    'rvsa-vitae': (
        'RVSA',
        RVSA_VITAE,
        dict(img_size=64, out_indices=(0, 1, 2, 3), attention=dict(separate_windows=True)),
        (16,) * 4,
    ),
}


def registered_backbones() -> dict[str, type[Backbone]]:
    """Return every registered backbone of ``mmvsa.models.backbones``."""
    MODELS.import_from_location()
    return {
        name: cls
        for name, cls in MODELS.module_dict.items()
        if isinstance(cls, type)
        and issubclass(cls, Backbone)
        and cls.__module__.startswith('mmvsa.models.backbones.')
    }


def build(case: str, arch: dict[str, Any] | None = None, **options: Any) -> Any:
    """Build the backbone of a case from seed 0, with other options of the arch or the class."""
    name, own_arch, own_options, _ = CASES[case]
    torch.manual_seed(0)
    arch = {**own_arch, **(arch or {})}
    return MODELS.build(dict(type=f'mmvsa.{name}', arch=arch, **{**own_options, **options}))


def with_regressors(module: nn.Module, std: float = 0.2) -> nn.Module:
    """Give window regressors random weights, so that windows vary."""
    for name, parameter in module.named_parameters():
        if 'regressor' in name:
            nn.init.normal_(parameter, std=std)
    return module


def has_separate_windows(config: Any) -> bool:
    """Build a backbone without memory and return whether keys and values have own windows."""
    with torch.device('meta'):
        backbone = MODELS.build(config)
    specs = [m.spec for m in backbone.modules() if hasattr(m, 'spec')]
    assert specs and len({spec.separate_windows for spec in specs}) == 1
    return specs[0].separate_windows


def narrow_rvsa(backbone: Any, side: int) -> int:
    """Make the RVSA of a config narrow, for images of ``side`` pixels; its blocks stay.

    Returns:
        Its channels.
    """
    arch = {**ARCHS[backbone.arch], 'embed_dims': 32, 'num_heads': 2}
    if 'pcm_groups' in arch:
        arch['pcm_groups'] = 8
    backbone.update(arch=arch, img_size=side, init_cfg=None)
    return 32
