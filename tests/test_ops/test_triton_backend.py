"""The Triton kernels as a backend: what it says of layers and devices."""

import torch

from mmvsa.ops import AttentionSpec
from mmvsa.ops.triton_backend import TritonBackend

SPEC = AttentionSpec(num_heads=2, head_dims=32, window_size=7, scale=1.0)


def test_reasons_are_those_of_the_device_and_of_the_layer() -> None:
    backend = TritonBackend()
    on_cpu = backend.reasons(torch.device('cpu'))
    assert any('on cpu' in reason for reason in on_cpu)
    wide = AttentionSpec(num_heads=2, head_dims=4096, window_size=7, scale=1.0)
    of_layer = backend.reasons(spec=wide)
    assert of_layer and '4096' in of_layer[0]
    assert backend.reasons(torch.device('cpu'), wide) == on_cpu + of_layer
    assert backend.reasons(spec=SPEC) == []
