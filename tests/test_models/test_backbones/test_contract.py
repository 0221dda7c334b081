"""What every registered backbone must do, on its tiny archs."""

import copy
import itertools
import warnings

import pytest
import torch
from helpers.archs import CASES, build, registered_backbones, with_regressors
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmvsa.models.layers import Block, SampledWindowAttention, TokenBlock
from mmvsa.registry import MODELS

every_case = pytest.mark.parametrize('case', CASES)
IMAGE = (2, 3, 64, 64)


def random_sum(outputs, seed=0):
    """A random direction: a norm's output has a sum that does not depend on its input."""
    generator = torch.Generator().manual_seed(seed)
    return sum((out * torch.randn(out.shape, generator=generator)).sum() for out in outputs)


def test_every_registered_backbone_has_a_case():
    assert set(registered_backbones()) == {name for name, *_ in CASES.values()}


@every_case
@pytest.mark.parametrize('size', [(64, 64), (65, 97), (32, 160), (7, 20), (1, 1)])
@pytest.mark.parametrize('training', [False, True])
def test_any_size(case, size, training):
    backbone = with_regressors(build(case)).train(training)
    with torch.no_grad():
        outputs = backbone(torch.randn(2, 3, *size))
    strides = CASES[case][3]
    assert len(outputs) == len(strides) == len(backbone.out_channels)
    for out, channels, stride in zip(outputs, backbone.out_channels, strides, strict=True):
        assert out.shape == (2, channels, -(-size[0] // stride), -(-size[1] // stride))
        assert out.isfinite().all() and out.is_contiguous()


@every_case
def test_every_parameter_gets_a_gradient(case):
    backbone = with_regressors(build(case))
    for module in backbone.modules():
        if hasattr(module, 'skip_single_window'):
            module.skip_single_window = False
    random_sum(backbone(torch.randn(2, 3, 96, 80))).backward()
    dead = [n for n, p in backbone.named_parameters() if p.grad is None or not p.grad.any()]
    assert not dead


@every_case
def test_out_indices_choose_the_maps_and_what_is_built(case):
    full = build(case).eval()
    if len(full.out_indices) == 1:
        assert build(case, out_indices=full.out_indices[0]).out_indices == full.out_indices
        return
    first = full.out_indices[0]
    part = build(case, out_indices=(first,)).eval()
    assert sum(p.numel() for p in part.parameters()) < sum(p.numel() for p in full.parameters())
    report = part.load_state_dict(full.state_dict(), strict=False)
    assert not report.missing_keys
    x = torch.randn(IMAGE)
    if case != 'rvsa-vitae':  # its final norm is shared
        torch.testing.assert_close(part(x)[0], full(x)[0])
    assert part.out_channels == full.out_channels[:1]


@every_case
def test_frozen_stages_are_frozen_at_construction_and_stay(case):
    free = build(case)
    total = free.num_built_stages
    for frozen in {1, total}:
        backbone = build(case, frozen_stages=frozen)
        modules = [*backbone.stem_modules()]
        for index in range(frozen):
            modules += backbone.stage_modules(index)
        for _ in range(2):
            for module in modules:
                assert not any(p.requires_grad for p in module.parameters())
            assert not any(p.requires_grad for p in backbone.parameters(recurse=False))
            backbone.train()
            assert not any(m.training for module in modules for m in module.modules())
        if frozen < total:
            assert all(p.requires_grad for p in backbone.stage_modules(frozen)[0].parameters())
            random_sum(backbone(torch.randn(IMAGE))).backward()
    assert all(p.requires_grad for p in build(case, frozen_stages=0).parameters())


@every_case
def test_norm_eval_keeps_statistics(case):
    backbone = build(case, norm_eval=True).train()
    norms = [m for m in backbone.modules() if isinstance(m, _BatchNorm)]
    assert not any(norm.training for norm in norms)
    assert all(m.training for m in build(case).train().modules() if isinstance(m, _BatchNorm))
    before = [b.clone() for b in backbone.buffers()]
    backbone(torch.randn(IMAGE))
    assert all(torch.equal(a, b) for a, b in zip(before, backbone.buffers(), strict=True))


@every_case
def test_checkpointing_changes_no_gradient_and_keeps_less(case):
    x = torch.randn(2, 3, 64, 96)
    results, kept = [], []
    for with_cp in (False, True):
        backbone = with_regressors(build(case, with_cp=with_cp)).train()
        count = 0

        def pack(tensor):
            nonlocal count
            count += tensor.numel()
            return tensor

        torch.manual_seed(1)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            outputs = backbone(x)
        kept.append(count)
        random_sum(outputs).backward()
        gradients = [p.grad for p in backbone.parameters() if p.grad is not None]
        results.append([*gradients, *backbone.buffers()])
    for plain, recomputed in zip(*results, strict=True):
        torch.testing.assert_close(plain, recomputed)
    assert kept[1] < 0.6 * kept[0]


@every_case
@pytest.mark.parametrize('option', ['drop_path_rate', 'drop_rate', 'attn_drop_rate'])
def test_regularization_acts_in_training_only(case, option):
    options = {option: 0.5}
    if case == 'vitae':
        options['performer_drop_rate'] = 0.0
    backbone = build(case, norm_eval=True, **options).train()
    x = torch.randn(4, 3, 64, 64)
    assert not torch.equal(backbone(x)[-1], backbone(x)[-1])
    backbone.eval()
    assert torch.equal(backbone(x)[-1], backbone(x)[-1])


@every_case
def test_drop_path_rises_over_all_blocks(case):
    backbone = build(case, drop_path_rate=0.3)
    rates = [m.drop_path.drop_prob for m in backbone.modules() if type(m) in (Block, TokenBlock)]
    assert rates == pytest.approx(torch.linspace(0, 0.3, len(rates)).tolist())


@every_case
def test_a_rule_for_linear_layers_leaves_the_regressors_at_zero(case):
    backbone = build(case, init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02))
    mlp = next(m.mlp.fc1 for m in backbone.modules() if isinstance(m, Block))
    before = mlp.weight.clone()
    backbone.init_weights()
    assert not torch.equal(mlp.weight, before)
    assert not any(p.any() for n, p in backbone.named_parameters() if 'regressor' in n)


@every_case
def test_layers_are_in_the_order_of_the_forward_pass(case):
    backbone = build(case).eval()
    layers, called = backbone.layer_modules(), []
    for number, layer in enumerate(layers):
        layer.register_forward_pre_hook(lambda *_, number=number: called.append(number))
    backbone(torch.randn(IMAGE))
    assert called == list(range(len(layers)))


@every_case
def test_layer_depth_of_every_parameter(case):
    backbone = build(case)
    layers = backbone.layer_modules()
    owners = {id(p): i for i, layer in enumerate(layers) for p in layer.parameters()}
    for name, parameter in backbone.named_parameters():
        expected = owners.get(id(parameter), 0 if '.' not in name else len(layers))
        assert backbone.get_layer_depth(f'b.{name}', 'b.') == (expected, len(layers) + 1), name
    assert backbone.get_layer_depth('head.fc.weight', 'b.') == (len(layers), len(layers) + 1)
    # nothing that has weights is left to the head but norms of outputs and pyramids
    left = {n for n, p in backbone.named_parameters() if id(p) not in owners and '.' in n}
    assert all(name.startswith(('norm', 'fc_norm', 'pyramid')) for name in left)


@every_case
def test_state_dict_round_trip(case, tmp_path):
    source, target = with_regressors(build(case)), build(case)
    torch.save(source.state_dict(), tmp_path / 'weights.pth')
    loaded = torch.load(tmp_path / 'weights.pth', weights_only=True)
    assert not any(target.load_state_dict(loaded))
    x = torch.randn(IMAGE)
    for a, b in zip(source.eval()(x), target.eval()(x), strict=True):
        assert torch.equal(a, b)


@every_case
def test_meta_device(case):
    with torch.device('meta'):
        backbone = build(case)
        outputs = backbone(torch.empty(1, 3, 40, 72))
    assert [tuple(out.shape[-2:]) for out in outputs] == [
        (-(-40 // stride), -(-72 // stride)) for stride in CASES[case][3]
    ]


@every_case
@pytest.mark.parametrize('mode', ['compile', 'export'])
def test_captured_as_one_graph(case, mode):
    backbone = with_regressors(build(case)).eval()
    x = torch.randn(1, 3, 40, 72)
    with torch.no_grad():
        expected = backbone(x)
        if mode == 'compile':
            torch.compiler.reset()
            outputs = torch.compile(backbone, fullgraph=True, backend='aot_eager')(x)
        else:
            outputs = torch.export.export(backbone, (x,)).module()(x)
    for a, b in zip(outputs, expected, strict=True):
        torch.testing.assert_close(a, b)


@every_case
def test_a_copy_is_independent(case):
    backbone = build(case).eval()
    other = copy.deepcopy(backbone)
    x = torch.randn(IMAGE)
    before = backbone(x)[0]
    nn.init.zeros_(next(other.parameters()))
    assert torch.equal(backbone(x)[0], before) and not torch.equal(other(x)[0], before)


@every_case
@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(arch='xl'), ValueError, "unknown arch 'xl' of .*; choose one of"),
        (dict(arch=3), TypeError, 'arch must be a name or a dict, got 3'),
        (dict(out_indices=()), ValueError, 'out_indices must name at least one stage'),
        (dict(out_indices=(9,)), ValueError, 'out_indices must be from'),
        (dict(out_indices='0'), TypeError, 'out_indices must be integers'),
        (dict(frozen_stages=9), ValueError, 'frozen_stages must be from -1 to'),
        (dict(in_channels=0), ValueError, 'in_channels must be at least 1'),
        (dict(with_cp=1), TypeError, 'with_cp must be True or False'),
        (dict(drop_path_rate=1.0), ValueError, r'drop_path_rate must be in \[0, 1\)'),
        (dict(attention='linear'), ValueError, "unknown attention 'linear'"),
        (dict(attention=dict(paddin=1)), ValueError, "no stage has an option 'paddin'"),
        (dict(depth_of_field=1), TypeError, 'depth_of_field'),
    ],
)
def test_wrong_options_are_named(case, options, error, message):
    name, arch, own, _ = CASES[case]
    with pytest.raises(error, match=message):
        registered_backbones()[name](**{'arch': arch, **own, **options})


@every_case
@pytest.mark.parametrize('change', ['unknown', 'missing'])
def test_wrong_keys_of_archs_are_named(case, change):
    name, arch, own, _ = CASES[case]
    key = next(iter(arch))
    arch = {**arch, 'widht': 1} if change == 'unknown' else {k: arch[k] for k in arch if k != key}
    if change == 'missing' and name == 'ViTAE':
        arch.pop('token_dims', None)
        key = 'token_dims'
    expected = rf"{change}: \['{'widht' if change == 'unknown' else key}'\]"
    with pytest.raises(ValueError, match=expected):
        registered_backbones()[name](arch=arch, **own)


@every_case
@pytest.mark.parametrize(
    ('shape', 'message'),
    [
        ((1, 4, 32, 32), r'takes images of shape \(B, 3, H, W\), got \(1, 4, 32, 32\)'),
        ((3, 32, 32), r'takes images of shape'),
        ((0, 3, 32, 32), 'empty batch'),
    ],
)
def test_wrong_images_are_named(case, shape, message):
    with pytest.raises(ValueError, match=message):
        build(case)(torch.zeros(shape))


ATTENTIONS = ['full', 'window', 'vsa', 'rvsa', 'quadrangle']


@every_case
@pytest.mark.parametrize('shift', range(5))
def test_any_attention_in_any_stage_trains_a_step(case, shift):
    """Every attention of the family comes to every stage in one of the five."""
    backbone = build(case)
    stages = len(backbone.blocks) if hasattr(backbone, 'blocks') else len(backbone.stages)
    cycle = itertools.islice(itertools.cycle(ATTENTIONS), shift, shift + stages)
    options = dict(attention=tuple(cycle))
    if case == 'rvsa':
        options['out_indices'] = (0, 3)  # type: ignore[assignment]
    backbone = with_regressors(build(case, **options)).train()
    optimizer = torch.optim.SGD(backbone.parameters(), lr=1e-3)
    x = torch.randn(2, 3, 64, 48)
    random_sum(backbone(x)).backward()
    optimizer.step()
    with torch.no_grad():
        assert all(out.isfinite().all() for out in backbone(x))
    kinds = [type(m).__name__ for m in backbone.modules() if hasattr(m, 'qkv')]
    assert kinds


@every_case
@pytest.mark.parametrize('preset', ATTENTIONS)
def test_one_preset_for_all_stages(case, preset):
    backbone = build(case, attention=preset)
    found = {type(m).__name__ for m in backbone.modules() if hasattr(m, 'qkv')}
    sampled = preset not in ('full', 'window')
    kind = 'SampledWindowAttention' if sampled else f'{preset.title()}Attention'
    assert found == {kind}


@every_case
def test_options_of_the_attention_reach_it(case):
    backbone = build(case, attention=dict(type='vsa', backend='torch', padding='center'))
    layers = [m for m in backbone.modules() if isinstance(m, SampledWindowAttention)]
    assert layers and all((m.backend, m.padding) == ('torch', 'center') for m in layers)
    x = torch.randn(1, 3, 80, 80)
    end = build(case, attention=dict(type='vsa', padding='end')).eval()
    end.load_state_dict(backbone.state_dict())
    assert not torch.equal(end(x)[-1], backbone.eval()(x)[-1])


@every_case
def test_options_before_the_attention_vocabulary_warn_and_work(case):
    vsa = dict(attention='vsa')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        new = build(
            case,
            attention=dict(type='vsa', padding='center', transform=dict(coords_lambda=0.5)),
        )
    with pytest.warns(DeprecationWarning, match='window_padding is deprecated'):
        old = build(case, **vsa, window_padding='center', window_transform=dict(coords_lambda=0.5))
    with pytest.warns(DeprecationWarning, match='keep_activations is deprecated'):
        build(case, keep_activations=True)
    old.load_state_dict(new.state_dict())
    transforms = [m.transform for m in old.modules() if isinstance(m, SampledWindowAttention)]
    assert transforms and all(t.coords_lambda == 0.5 for t in transforms)
    x = torch.randn(1, 3, 80, 80)
    for a, b in zip(old.eval()(x), new.eval()(x), strict=True):
        assert torch.equal(a, b)


def test_backbones_import_no_other_backbone():
    """Of this package, a backbone needs `base` and `arch` alone."""
    import ast
    from pathlib import Path

    import mmvsa.models.backbones as package

    for path in Path(package.__file__).parent.glob('*.py'):
        tree = ast.parse(path.read_text())
        relative = {
            node.module
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.level
        }
        if path.stem != '__init__':
            assert relative <= {'base', 'arch'}, path
    assert MODELS.get('mmvsa.ViTAEv2') is not None
