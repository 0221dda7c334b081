"""The resolver of archs and attentions."""

import pytest
import torch

from mmvsa.models.backbones.arch import drop_path_rates, resolve_arch, resolve_attentions
from mmvsa.models.backbones.vitaev2 import ARCHS, ViTAEv2Stage


def test_named_archs_resolve_to_complete_records():
    stages = resolve_arch('S-VSA', ViTAEv2Stage, ARCHS, 'ViTAEv2')
    assert [stage.downsample for stage in stages] == [4, 2, 2, 2]
    assert [stage.window_size for stage in stages] == [7] * 4
    assert [stage.dilations for stage in stages][1] == (1, 2, 3)
    with pytest.raises(AttributeError):
        stages[0].depth = 3  # type: ignore[misc]


def test_one_value_or_one_per_stage():
    arch = {**ARCHS['s'], 'window_size': (8, 8, 4, 2), 'dilations': (1, 2), 'mlp_ratio': 2}
    stages = resolve_arch(arch, ViTAEv2Stage, ARCHS, 'ViTAEv2')
    assert [stage.window_size for stage in stages] == [8, 8, 4, 2]
    assert {stage.dilations for stage in stages} == {(1, 2)} and stages[3].mlp_ratio == 2
    fewer = {key: value[:2] for key, value in ARCHS['s'].items()}
    assert len(resolve_arch(fewer, ViTAEv2Stage, ARCHS, 'ViTAEv2')) == 2


@pytest.mark.parametrize(
    ('change', 'error', 'message'),
    [
        (dict(window_sizes=7), ValueError, 'did you mean window_size'),
        (dict(depths=2), TypeError, 'depths must have one entry per stage, got 2'),
        (dict(depths=()), ValueError, 'depths must have at least one entry'),
        (dict(token_dims=(64, 128, 0, 512)), ValueError, r'token_dims\[2\] must be at least 1'),
        (dict(kernel_sizes=(7, 3, 3.5, 3)), TypeError, r'kernel_sizes\[2\] must be an integer'),
        (dict(mlp_ratio='4'), TypeError, 'mlp_ratio must be a number'),
    ],
)
def test_wrong_values_are_named(change, error, message):
    with pytest.raises(error, match=message):
        resolve_arch({**ARCHS['s'], **change}, ViTAEv2Stage, ARCHS, 'ViTAEv2')


def names(configs):
    return [(c['type'], (c.get('transform') or {}).get('type')) for c in configs]


OWN = ('window', 'vsa', 'full')
WINDOW, FULL = ('WindowAttention', None), ('FullAttention', None)


def sampled(transform):
    return 'SampledWindowAttention', transform


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        (None, [WINDOW, sampled('VariedSizeWindow'), FULL]),
        ('rvsa', [sampled('RotatedVariedSizeWindow')] * 3),
        (('full', None, 'quadrangle'), [FULL, sampled('VariedSizeWindow'), sampled('Quadrangle')]),
        (dict(transform='Quadrangle'), [WINDOW, sampled('Quadrangle'), FULL]),
    ],
)
def test_attentions(given, expected):
    assert names(resolve_attentions(given, OWN)) == expected


def test_options_reach_the_attentions_that_have_them():
    configs = resolve_attentions(dict(padding='center', backend='torch'), OWN)
    assert [config.get('padding') for config in configs] == ['center', 'center', None]
    assert [config.get('backend') for config in configs] == [None, 'torch', None]
    with pytest.raises(ValueError, match="no stage has an option 'backend'"):
        resolve_attentions(dict(backend='torch'), ('window', 'full'))


def test_a_sequence_is_one_per_stage_or_a_cycle():
    with pytest.raises(ValueError, match='attention has 2 entries for 3 stages'):
        resolve_attentions(('full', 'vsa'), OWN)
    cycle = names(resolve_attentions(('full', 'window'), OWN, cycle=True))
    assert cycle == [FULL, WINDOW, FULL]
    with pytest.raises(TypeError, match='attention must be a name, a dict or a sequence'):
        resolve_attentions(3, OWN)


def test_drop_path_schedules():
    depths = (2, 2, 8, 2)
    cumulative = drop_path_rates(0.2, depths, 'cumulative')
    assert [len(rates) for rates in cumulative] == list(depths)
    flat = [rate for rates in cumulative for rate in rates]
    assert flat == pytest.approx(torch.linspace(0, 0.2, 14).tolist())
    official = drop_path_rates(0.2, depths, 'official')
    assert max(max(rates) for rates in official) == pytest.approx(0.2 * 9 / 13)  # 0.138
    assert official[1] == official[2][:2]
