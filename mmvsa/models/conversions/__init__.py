"""Names of published state dicts and of mmvsa: one module per family, pure functions.

A family is a key table and a converter; it is registered by its place in :data:`FAMILIES`.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from . import bit, mtp, p3m, rsp, swin, vit, vitae, vitaev2
from .bit import convert_bit
from .keys import CheckpointError, Family, PublishedFiles, Row, StateDict, rename_keys, unite
from .mtp import convert_mtp
from .p3m import convert_p3m
from .rsp import convert_rsp
from .swin import convert_mmpretrain_swin, convert_swin
from .vit import convert_vit
from .vitae import convert_vitae
from .vitaev2 import convert_vitaev2

__all__ = [
    'FAMILIES',
    'WHOLE_MODELS',
    'CheckpointError',
    'Family',
    'PublishedFiles',
    'Row',
    'StateDict',
    'adapt_state_dict',
    'adapt_whole_model',
    'convert_bit',
    'convert_mmpretrain_swin',
    'convert_mtp',
    'convert_p3m',
    'convert_rsp',
    'convert_swin',
    'convert_vit',
    'convert_vitae',
    'convert_vitaev2',
    'find_family',
    'is_foreign',
    'rename_keys',
    'unite',
]

# The first that recognizes a state dict converts it.
FAMILIES: tuple[Family, ...] = (
    p3m.ENCODER_FAMILY,
    vitae.FAMILY,
    rsp.FAMILY,
    vitaev2.FAMILY,
    swin.FAMILY,
    swin.MMPRETRAIN_FAMILY,
    mtp.FAMILY,
    vit.FAMILY,
)
# Models whose heads are those of mmvsa too.
WHOLE_MODELS: tuple[Family, ...] = (bit.FAMILY, p3m.FAMILY)


def find_family(state_dict: Mapping[str, Any]) -> Family | None:
    """Return the family whose key names a backbone's or a classifier's state dict has."""
    return next((family for family in FAMILIES if family.matches(state_dict)), None)


def is_foreign(state_dict: Mapping[str, Any]) -> bool:
    """Return whether the keys are those of another code base that a converter knows."""
    return find_family(state_dict) is not None


def adapt_state_dict(state_dict: Mapping[str, Tensor]) -> StateDict:
    """Return any known state dict with the names of mmvsa; one that has them comes back equal.

    Raises:
        CheckpointError: the file is incomplete, or two of its keys would become one.
    """
    family = find_family(state_dict)
    return dict(state_dict) if family is None else family.convert(state_dict)


def adapt_whole_model(state_dict: Mapping[str, Tensor]) -> StateDict:
    """Return the state dict of a model with its head under the names of mmvsa.

    What is none of :data:`WHOLE_MODELS` comes back equal.

    Raises:
        CheckpointError: the file is incomplete, or two of its keys would become one.
    """
    found = (family for family in WHOLE_MODELS if family.matches(state_dict))
    family = next(found, None)
    return dict(state_dict) if family is None else family.convert(state_dict)
