"""Registries are children of MMEngine's and find their modules on first use."""

import mmengine.registry as root
import pytest

from mmvsa import registry


@pytest.mark.parametrize(
    ('parent', 'child', 'name'),
    [
        ('MODELS', registry.MODELS, 'ViTAEv2'),
        ('MODELS', registry.MODELS, 'MAEEncoder'),
        ('DATASETS', registry.DATASETS, 'Digits'),
        ('DATASETS', registry.DATASETS, 'FewShot'),
        ('TRANSFORMS', registry.TRANSFORMS, 'LoadImage'),
        ('HOOKS', registry.HOOKS, 'NextStepsHook'),
        ('OPTIM_WRAPPERS', registry.OPTIM_WRAPPERS, 'CpuAmpOptimWrapper'),
        ('METRICS', registry.METRICS, 'ReaLAccuracy'),
        ('RUNNERS', registry.RUNNERS, 'FlexibleRunner'),
        ('STRATEGIES', registry.STRATEGIES, 'FSDPStrategy'),
    ],
)
def test_found_from_the_root(parent: str, child: root.Registry, name: str) -> None:
    assert child.scope == 'mmvsa'
    assert getattr(root, parent).get(f'mmvsa.{name}') is child.get(name) is not None


def test_parts_of_attention_have_registries_of_their_own() -> None:
    assert registry.ATTENTIONS.get('WindowAttention').__name__ == 'WindowAttention'
    assert registry.WINDOW_TRANSFORMS.get('Quadrangle').__name__ == 'Quadrangle'
