"""Matting networks for tests: the official one's weights, and a tiny one."""

from typing import Any

from torch import Tensor, nn

from helpers.reference import describe, fill
from mmvsa import get_model
from mmvsa.models.conversions import convert_p3m
from mmvsa.registry import MODELS

REFERENCES = ('P3MNet_ViTAE_S', 'P3MNet_ViTAE_S_live')
ARCH: dict[str, Any] = dict(
    token_dims=(8, 12, 16, 24),
    depths=(1, 1, 1, 1),
    num_heads=(1, 1, 2, 2),
    groups=(1, 4, 4, 8),
    mlp_ratio=2.0,
    attention=('PlainPerformer', 'full', 'full', 'full'),
)


def official_state_dict(name: str = REFERENCES[0], *, unsaved: bool = False) -> dict[str, Tensor]:
    """Return the state dict of the official network; the random projections are in none."""
    info = describe(name)
    entries = info['state_dict'] + (info['unsaved'] if unsaved else [])
    return {key: fill(key, shape) * info['factors'].get(key, 1) for key, shape in entries}


def official_model(name: str = REFERENCES[0]) -> Any:
    """Return P3M-Net with the weights of a reference."""
    converted = convert_p3m(official_state_dict(name, unsaved=True))
    weights = {key.replace('attn.w', 'attn.directions'): value for key, value in converted.items()}
    model = get_model('p3m-net_vitae-s').eval()
    assert not model.load_state_dict(weights, strict=False).unexpected_keys
    return model


def tiny_model(**options: Any) -> nn.Module:
    """Build a small P3M-Net with a preprocessor."""
    return MODELS.build(
        dict(
            type='mmvsa.Mattor',
            backbone=dict(type='mmvsa.PoolingViTAE', arch=ARCH),
            decode_head=dict(type='mmvsa.P3MHead', in_channels=ARCH['token_dims']),
            data_preprocessor=dict(
                type='mmvsa.MattingDataPreprocessor', mean=[127.5] * 3, std=[63.75] * 3
            ),
            **options,
        )
    )
