import json

import pytest
from cli import run_tool


def test_table_and_record(tmp_path, capsys):
    out = tmp_path / 'new' / 'scaling.json'
    arguments = ['timm:resnet10t', '--sizes', '64', '64x128', '--rounds', '2', '--no-memory']
    with pytest.raises(SystemExit) as end:
        run_tool('analysis_tools/scaling', *arguments, '--device', 'cpu', '--out', out)
    assert end.value.code == 0
    record = json.loads(out.read_text())
    assert [row['size'] for row in record['forward']] == [[64, 64], [64, 128]]
    assert [row['relative_time'] > 0 for row in record['backward']] == [True, True]
    assert '64 x 128' in capsys.readouterr().out


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['--sizes', '12x'], 'height x width'),
        (['hub:a'], 'unknown source'),
        (['--rounds', '0'], 'at least 1'),
    ],
)
def test_wrong_arguments_end_with_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit):
        run_tool('analysis_tools/scaling', *arguments)
    assert message in capsys.readouterr().err
