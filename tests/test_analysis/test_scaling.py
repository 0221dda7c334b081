import pytest

from mmvsa.analysis.memory import PeakMemory
from mmvsa.analysis.scaling import parse_size, size_costs, table
from mmvsa.analysis.timing import Timing


def test_sizes():
    assert parse_size('224') == (224, 224)
    assert parse_size('512x1024') == (512, 1024)
    for wrong in ('', '0', 'x', '1x2x3', '-4', '2.5'):
        with pytest.raises(ValueError, match='height x width'):
            parse_size(wrong)


def test_costs_by_hand():
    timings = {
        (10, 10): Timing((1.0, 2.0, 1.0)),
        (20, 20): Timing((4.0, 8.0, 8.0)),  # 1, 1 and 2 times the time per pixel
        (10, 20): Timing((1.0, 2.0, 1.0)),  # half of it
    }
    memory = {(10, 10): PeakMemory(0, 50), (20, 20): PeakMemory(0, 53), (10, 20): PeakMemory(0, 52)}
    rows = size_costs(timings, memory, batch=2)
    assert [row.relative_time for row in rows] == [1.0, 1.0, 0.5]
    assert [row.ms for row in rows] == [1000, 8000, 1000]
    # 3 MiB for 600 pixels more, 2 MiB for 200
    assert rows[0].marginal_mib is None
    assert [row.marginal_mib for row in rows[1:]] == pytest.approx([5000, 10000])


def test_table_without_memory():
    header, rows = table(size_costs({(512, 1024): Timing((0.5,))}, {}, batch=1))
    assert rows == [['512 x 1024', '0.52', '500', '0%', '1.00', '-', '-']]
    assert len(header) == len(rows[0])
