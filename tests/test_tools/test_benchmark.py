"""The benchmark: counting by hand, timing, contenders, the authors' checkout, the command line."""

import functools
import importlib.util
import json
import os
import sys
import textwrap
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmvsa.analysis import attention_floors, contenders
from mmvsa.analysis.contenders import Contender, Workload, build_step, parse_contender
from mmvsa.analysis.machine import measure_limits
from mmvsa.analysis.memory import RETURN_FREED, peak_memory
from mmvsa.analysis.official import OfficialCodeError, build_official, on_cpu
from mmvsa.analysis.op_cost import OpCost, count_flops
from mmvsa.analysis.report import Result, markdown_table
from mmvsa.analysis.timing import Timing, ratios, time_interleaved

SCRIPT = Path(__file__).parents[2] / 'tools' / 'analysis_tools' / 'benchmark.py'
CPU = torch.device('cpu')


@pytest.fixture(scope='module')
def benchmark():
    spec = importlib.util.spec_from_file_location('benchmark', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path):
    """A checkout with one small model that needs all that the authors' code needs."""
    package = tmp_path / 'Image-Classification' / 'vitaev2_vsa'
    package.mkdir(parents=True)
    (package / '__init__.py').write_text('from .models import *\n')
    (package / 'models.py').write_text(
        textwrap.dedent("""
        import torch
        import torch.nn as nn
        from numpy.core.fromnumeric import resize, shape
        from lib2to3.pgen2 import token
        from timm.models.helpers import load_pretrained
        from timm.models.layers import DropPath, to_2tuple, trunc_normal_
        from timm.models.registry import register_model

        class Net(nn.Module):
            def __init__(self, img_size):
                super().__init__()
                print('noise')
                self.coords = torch.ones(img_size).cuda()
                self.head = nn.Linear(3, 5)

            def forward(self, x):
                return self.head((x * self.coords).mean((2, 3)))

        @register_model
        def tiny(pretrained=False, **kwargs):
            return Net(**kwargs)
        """)
    )
    return tmp_path


def test_official_checkout_is_loaded_unchanged(checkout, capsys):
    modules, path, cuda = set(sys.modules), list(sys.path), torch.Tensor.cuda
    model = build_official(checkout, 'tiny', size=8)
    assert model(torch.zeros(2, 3, 8, 8)).shape == (2, 5)
    assert capsys.readouterr().out == ''
    assert (sys.path, torch.Tensor.cuda) == (path, cuda)
    assert {m for m in set(sys.modules) - modules if 'lib2to3' in m} == set()
    assert not list(checkout.rglob('*.pyc'))
    import timm

    assert 'tiny' not in timm.list_models()


def test_official_errors_say_where(checkout, tmp_path_factory):
    with pytest.raises(OfficialCodeError, match=r"no model 'huge'.*\['tiny'\]"):
        build_official(checkout, 'huge')
    with pytest.raises(OfficialCodeError, match='give the path of a checkout'):
        build_official(tmp_path_factory.mktemp('empty'), 'tiny')


def test_cuda_is_restored_after_an_error():
    cuda = torch.Tensor.cuda
    with pytest.raises(KeyError), on_cpu():
        raise KeyError
    assert torch.Tensor.cuda is cuda


def conv_step(groups):
    conv = nn.Conv2d(8, 4, 3, padding=1, groups=groups, bias=False)
    x = torch.randn(2, 8, 5, 6, requires_grad=True)
    return lambda: conv(x).sum().backward()


@pytest.mark.parametrize('groups', [1, 2, 4])
def test_flops_of_a_grouped_convolution_by_hand(groups):
    forward = 2 * (2 * 4 * 5 * 6) * (8 // groups * 9)
    assert count_flops(conv_step(groups)) == 3 * forward


def test_flops_of_attention_on_a_cpu_by_hand():
    q = torch.randn(2, 3, 10, 8)
    product = 2 * 2 * 3 * 10 * 10 * 8
    assert count_flops(lambda: F.scaled_dot_product_attention(q, q, q)) == 2 * product


def test_op_cost_by_hand():
    a, b = torch.randn(4, 6), torch.randn(6, 5)
    with OpCost(peak_flops=1.0, peak_bytes=1e9) as cost:
        c = a @ b
        c.view(20).view(4, 5)
        c.t().contiguous()
    assert cost.flops == 2 * 4 * 6 * 5
    assert cost.bytes == 4 * (24 + 30 + 20 + 2 * 20)
    assert (cost.copies, cost.launches) == (1, 2)
    assert cost.seconds == pytest.approx(240 + 160e-9)


def test_op_cost_agrees_with_torchs_counter():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 16, 4))
    x = torch.randn(2, 3, 6, 6)
    with OpCost() as cost:
        net(x)
    with FlopCounterMode(display=False) as counter:
        net(x)
    assert cost.flops == counter.get_total_flops()


def test_rounds_take_turns():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in 'ab'}
    timings = time_interleaved(calls, CPU, rounds=3, iterations=2, warmup=1)
    assert ''.join(order) == 'ab' + 3 * 'aabb'
    assert all(len(timing.rounds) == 3 for timing in timings.values())


def test_ratio_is_the_median_of_the_rounds_own():
    timings = {'a': Timing((1.0, 2.0, 9.0)), 'b': Timing((2.0, 2.0, 3.0))}
    assert ratios(timings, 'a') == {'a': 1.0, 'b': 1.0}
    assert timings['a'].median == 2.0
    assert Timing((1.0, 2.0, 2.0, 3.0, 9.0)).spread == pytest.approx((3 - 2) / 2)


def test_contender_options():
    defaults = Contender('mmvsa', '', channels_last=True)
    contender = parse_contender('timm:resnet18@bf16,compile', defaults)
    assert contender == Contender('timm', 'resnet18', 'bfloat16', True, True)
    assert contender.label == 'timm:resnet18@bfloat16,channels_last,compile'
    assert parse_contender('vitaev2-s', defaults).label == 'vitaev2-s@channels_last'
    assert parse_contender('a@backend=torch', defaults).backend == 'torch'
    assert parse_contender('a@with_cp', defaults).with_cp
    for wrong in ('hub:a', 'a@int8', 'official:a', 'a@backend=none'):
        with pytest.raises(ValueError):
            parse_contender(wrong, defaults)


def test_checkpointing_reaches_the_backbone():
    contender = parse_contender('vitaev2-s@with_cp', Contender('mmvsa', ''))
    assert contenders.build_model(contender, 224, CPU).backbone.with_cp


def test_limits_are_positive():
    limits = measure_limits(CPU, torch.float32, repeats=1)
    assert limits.flops > 1e8 and limits.bytes > 1e7


def test_peak_memory_is_measured_in_a_process_of_its_own():
    held = torch.ones(200 * 2**18)  # 200 MiB here do not count there
    peak = peak_memory(CPU, functools.partial, (torch.ones, 64 * 2**18))
    assert 60 < peak.added < 150
    assert held.sum() > 0


FRAGMENTS = """
import torch
torch.ones(16 * 2**18)  # freed: from here on glibc would keep blocks of 1 MiB
blocks = [torch.ones(2**18) for _ in range(100)]
blocks = blocks[::2]  # 50 MiB are free, but not at a stretch
together = torch.ones(40 * 2**18)
"""


def test_memory_that_was_freed_does_not_count(monkeypatch):
    for name in RETURN_FREED:
        monkeypatch.delenv(name, raising=False)
    assert 100 < peak_memory(CPU, functools.partial, (exec, FRAGMENTS), calls=1).added < 125
    assert not RETURN_FREED.keys() & os.environ.keys()


def test_every_floor_has_the_shape_of_its_input(monkeypatch):
    monkeypatch.setattr(attention_floors, 'STAGES', {'tiny': (14, 7, 16, 2)})
    modules = attention_floors.build_modules('tiny', None, ['auto', 'torch'], CPU)
    x = torch.randn(2, 14, 7, 16)
    assert set(modules) == {'vsa-auto', 'vsa-torch', 'window-sdpa', 'core-sdpa', 'linear'}
    for name, module in modules.items():
        assert module(x).numel() == x.numel(), name
        for task in ('forward', 'backward'):
            attention_floors.attention_call(name, module, 'tiny', task, 2, None, CPU)()


@pytest.fixture
def small_model(monkeypatch):
    def build(contender, size):
        return nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.Flatten(), nn.Linear(4 * 7 * 7, 1000))

    monkeypatch.setitem(contenders._BUILDERS, 'timm', build)


@pytest.mark.parametrize('task', ['forward', 'backward', 'train'])
@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_tasks(small_model, task, dtype):
    work = Workload(Contender('timm', 'small', dtype, channels_last=True), task, 2, 16)
    assert build_step(work)().isfinite().all()


def test_command_line(benchmark, small_model, tmp_path, capsys):
    arguments = ['timm:a', 'timm:b@bf16', '--baseline', 'timm:b@bf16', '--batch-size', '2']
    arguments += [
        '--device',
        'cpu',
        '--size',
        '16',
        '--rounds',
        '2',
        '--no-memory',
        '--tasks',
        'forward',
        'train',
    ]
    out, plot = tmp_path / 'new' / 'out.json', tmp_path / 'plot.png'
    assert benchmark.main([*arguments, '--out', str(out), '--plot', str(plot)]) == 0
    record = json.loads(out.read_text())
    baseline = [r for r in record['results'] if r['name'] == 'timm:b@bfloat16']
    assert [r['ratio'] for r in baseline] == [1.0, 1.0]
    assert set(record) == {'settings', 'machine', 'limits', 'results'}
    assert [r['task'] for r in record['results']] == ['forward'] * 2 + ['train'] * 2
    assert record['results'][0]['gflop'] > 0
    assert plot.stat().st_size > 1000
    assert 'timm:a' in capsys.readouterr().out


def test_what_fails_is_left_out_and_reported(benchmark, small_model, capsys, tmp_path):
    out = tmp_path / 'out.json'
    arguments = ['timm:a', 'vitaev2-s-vsa@backend=mmcv', '--size', '16', '--batch-size', '1']
    arguments += ['--rounds', '1', '--no-memory', '--tasks', 'forward', '--device', 'cpu']
    assert benchmark.main([*arguments, '--out', str(out)]) == 1
    assert [r['name'] for r in json.loads(out.read_text())['results']] == ['timm:a']
    assert 'backend=mmcv failed and is left out: RuntimeError' in capsys.readouterr().out


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['timm:a', '--baseline', 'timm:b'], 'not one of the contenders'),
        (['official:a'], '--official PATH'),
        (['timm:a', '--rounds', '0'], 'must be at least 1'),
    ],
)
def test_wrong_arguments_end_with_one_line(benchmark, arguments, message, capsys):
    with pytest.raises(SystemExit):
        benchmark.parse_args(arguments)
    assert message in capsys.readouterr().err


def test_table_leaves_empty_columns_out():
    table = markdown_table([Result('a', 'forward', 1.0, 0.1, 8.0)])
    assert table.splitlines()[0] == '| task | contender | img/s | ms | spread |'
