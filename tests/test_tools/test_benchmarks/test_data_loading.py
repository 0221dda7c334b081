import re
from pathlib import Path

import data_loading
import pytest
from PIL import Image


def test_imagenet_pipeline(capsys: pytest.CaptureFixture) -> None:
    data_loading.main(['--rounds', '1', '--repeats', '1', '--step-ms', '200'])
    out = capsys.readouterr().out
    assert '4 files' in out
    ms = {name: float(value) for name, value in re.findall(r'\| (\w+) +\| +([\d.]+) \|', out)}
    whole = ms.pop('whole')
    assert {'LoadImageFromFile', 'RandomResizedCrop', 'RandAugment', 'PackInputs'} <= ms.keys()
    assert sum(ms.values()) == pytest.approx(whole, abs=0.01 * len(ms))
    workers = data_loading.workers_needed(1e3 / whole, 128, 200)
    assert abs(int(re.search(r'(\d+) workers per GPU', out)[1]) - workers) <= 1


def test_photographs_have_the_size_of_imagenet(tmp_path: Path) -> None:
    paths = data_loading.write_photographs(tmp_path)
    assert [path.stem for path in paths] == list(data_loading.PHOTOGRAPHS)
    for path in paths:
        with Image.open(path) as image:
            assert (image.size, image.format, image.mode) == ((500, 375), 'JPEG', 'RGB')


def test_workers_by_hand() -> None:
    assert data_loading.workers_needed(200, batch=128, step_ms=160) == 4  # 800 images/s
    assert data_loading.workers_needed(199, batch=128, step_ms=160) == 5


def test_wrong_arguments_end_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for arguments, message in [
        (['--images', str(tmp_path)], 'no .jpg or .jpeg file in'),
        (['--step-ms', '0'], '--step-ms must be positive'),
        (['nowhere.py'], 'nowhere.py does not exist'),
    ]:
        with pytest.raises(SystemExit) as end:
            data_loading.main(arguments)
        assert end.value.code == 2 and message in capsys.readouterr().err
