import argparse
import json
import os
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import measure
import pytest
import torch
from torch.utils.benchmark import Measurement, TaskSpec


def measurement(*seconds: float) -> Measurement:
    return Measurement(1, list(seconds), TaskSpec('', ''))


def test_rounds_are_interleaved() -> None:
    order: list[str] = []
    calls = {name: lambda name=name: order.append(name) for name in 'ab'}
    times = measure.time_interleaved(calls, rounds=3, iterations=2)
    assert ''.join(order) == 'ab' + 3 * 'aabb'
    assert [len(found.times) for found in times.values()] == [3, 3]


def test_time_is_that_of_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 6.0, 10.0, 20.0])
    monkeypatch.setitem(measure.CLOCKS, 'fake', lambda: next(ticks))
    found = measure.time_interleaved({'a': int}, rounds=2, iterations=2, clock='fake')['a']
    assert found.times == [3.0, 5.0]


def test_ratio_is_the_median_of_the_rounds_own() -> None:
    baseline, other = measurement(1.0, 2.0, 9.0), measurement(2.0, 2.0, 3.0)
    assert measure.speedup(other, baseline) == 1.0  # of 0.5, 1 and 3
    row = measure.time_record(measurement(0.004, 0.005, 0.010), 2, measurement(0.01, 0.01, 0.01))
    assert (row['img/s'], row['ms'], row['x baseline']) == (400.0, 5.0, 2.0)


@pytest.mark.parametrize('wrong', ['', '0', 'x', '1x2x3', '-4', '2.5', '512,512'])
def test_sizes(wrong: str) -> None:
    assert measure.parse_size('224') == (224, 224)
    assert measure.parse_size('512x1024') == (512, 1024)
    with pytest.raises(ValueError, match='height x width'):
        measure.parse_size(wrong)


# Its steps are those of a process that keeps freed blocks: 100 + 80 MiB, where 130 are in use.
FRAGMENTS = """
def run():
    import torch
    torch.ones(16 * 2**18)  # freed: from here on glibc would keep blocks of 1 MiB
    blocks = [torch.ones(2**18) for _ in range(100)]
    blocks = blocks[::2]  # 50 MiB are free, but not in one stretch
    return torch.ones(80 * 2**18)
run()
"""


def test_peak_memory_is_what_the_work_has_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in measure.RETURN_FREED:
        monkeypatch.delenv(name, raising=False)
    held = torch.ones(200 * 2**18)  # 200 MiB of this process do not count
    work = SimpleNamespace(prepare=int, build=partial(partial, exec, FRAGMENTS))
    assert 125 < measure.peak_memory(work, 'cpu') < 155
    assert held.sum() > 0 and not measure.RETURN_FREED.keys() & os.environ.keys()


def test_record(tmp_path: Path) -> None:
    path = tmp_path / 'new' / 'out.json'
    args = argparse.Namespace(device='cpu', rounds=3, out=path)
    measure.write_record(path, args, [{'ms': 1.5}])
    record = json.loads(path.read_text())
    assert record['results'] == [{'ms': 1.5}]
    assert record['settings'] == {'device': 'cpu', 'rounds': 3}
    assert record['machine']['torch'] == torch.__version__
    assert list(path.parent.iterdir()) == [path]


def test_table_is_markdown(capsys: pytest.CaptureFixture) -> None:
    measure.print_table([{'name': 'a', 'ms': 1.5}, {'name': 'b', 'ms': 20.25}], 'title')
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ['|', 'b', '|', '20.25', '|'] in lines
