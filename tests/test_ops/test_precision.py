"""Autocast is switched off where half precision is too coarse."""

import torch

from mmvsa.ops.precision import without_autocast


def test_autocast_is_off_inside():
    x = torch.randn(4, 4)
    with torch.autocast('cpu', torch.bfloat16):
        assert (x @ x).dtype == torch.bfloat16
        with without_autocast(x.device):
            assert (x @ x).dtype == torch.float32


def test_the_meta_device_has_none():
    with without_autocast(torch.device('meta')):
        assert (torch.empty(2, 2, device='meta') @ torch.empty(2, 2, device='meta')).is_meta
