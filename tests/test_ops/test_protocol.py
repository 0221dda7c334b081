"""Every backend of the table has the protocol."""

import inspect

import pytest

from mmvsa.ops import BACKENDS, AttentionSpec
from mmvsa.ops.protocol import Backend


@pytest.mark.parametrize('backend', BACKENDS, ids=lambda backend: backend.name)
def test_backends_have_the_methods_and_arguments(backend) -> None:
    for name in ('reasons', 'attend'):
        expected = inspect.signature(getattr(Backend, name)).parameters
        found = inspect.signature(getattr(type(backend), name)).parameters
        assert list(found) == list(expected), name
    spec = AttentionSpec(num_heads=1, head_dims=8, window_size=4, scale=1.0)
    assert backend.reasons() == backend.reasons(spec=spec) == []
