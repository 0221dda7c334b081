"""Generated folders: written once, whole, and over nothing else."""

import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mmvsa.datasets import DatasetError, generated
from mmvsa.datasets.generated import GeneratedData


@dataclass(frozen=True)
class Settings:
    count: int = 2


def write(folder: Path, settings: Settings) -> None:
    for index in range(settings.count):
        (folder / f'{index}.txt').write_text('x')


DATA = GeneratedData('Letters', 'letters.json', 3, Settings, write)


def test_written_once(tmp_path: Path) -> None:
    root = tmp_path / 'new folder/data'
    assert DATA.ensure(root, Settings(1)) == root
    assert {path.name for path in root.iterdir()} == {'0.txt', 'letters.json'}
    assert json.loads((root / 'letters.json').read_text()) == {'version': 3, 'count': 1}
    assert root.stat().st_mode == root.parent.stat().st_mode, 'open to whom a new folder is'
    (root / '0.txt').write_text('y')
    for settings in (Settings(1), None):
        DATA.ensure(str(root), settings)
    assert (root / '0.txt').read_text() == 'y'
    assert [path.name for path in root.parent.iterdir()] == ['data'], 'no other folder is left'


def test_an_empty_folder_is_filled_by_default(tmp_path: Path) -> None:
    DATA.ensure(tmp_path)
    assert (tmp_path / '1.txt').exists()


def test_interrupted_writing_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(folder: Path, settings: Settings) -> None:
        write(folder, settings)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace(DATA, write=interrupt).ensure(tmp_path / 'data')
    assert not list(tmp_path.iterdir())


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    DATA.ensure(tmp_path, Settings(1))
    with pytest.raises(DatasetError, match=r"Letters .*there: .*'count': 1.*for: .*'count': 2"):
        DATA.ensure(tmp_path, Settings(2))
    with pytest.raises(DatasetError, match=r"'version': 3.*'version': 4"):
        replace(DATA, version=4).ensure(tmp_path, Settings(1))


@pytest.mark.parametrize('marker', [None, '', 'no JSON'])
def test_a_foreign_folder_is_left_alone(tmp_path: Path, marker: str | None) -> None:
    (tmp_path / 'mine.txt').write_text('mine')
    if marker is not None:
        (tmp_path / 'letters.json').write_text(marker)
    before = sorted(tmp_path.iterdir())
    for settings in (Settings(), None):
        with pytest.raises(DatasetError, match='does not hold the Letters .*there: other files'):
            DATA.ensure(tmp_path, settings)
    assert sorted(tmp_path.iterdir()) == before


def test_foreign_files_where_any_will_do(tmp_path: Path) -> None:
    any_files = replace(DATA, any_files=True)
    (tmp_path / 'mine.txt').write_text('mine')
    any_files.ensure_on_machine(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['mine.txt']
    with pytest.raises(DatasetError, match='there: other files'):
        any_files.ensure(tmp_path, Settings())


def test_another_process_finishes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of the other process stay, and nothing else is left."""
    rename, root = os.replace, tmp_path / 'data'

    def be_late(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, 'replace', rename)
        shutil.copytree(source, target)
        (target / 'other').touch()
        rename(source, target)

    monkeypatch.setattr(os, 'replace', be_late)
    DATA.ensure(root)
    assert (root / 'other').exists() and list(tmp_path.iterdir()) == [root]


def test_one_process_of_a_machine_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process waits at the barrier until the files are there."""
    root = tmp_path / 'data'
    monkeypatch.setenv('LOCAL_RANK', '1')
    with pytest.raises(DatasetError, match='not written by the main process'):
        DATA.ensure_on_machine(root)
    monkeypatch.setattr(generated, 'barrier', lambda: DATA.ensure(root))
    DATA.ensure_on_machine(root)
    assert (root / '1.txt').exists()


def test_a_failing_main_process_still_meets_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = []
    monkeypatch.setattr(generated, 'barrier', lambda: met.append(True))
    (tmp_path / 'mine.txt').touch()
    with pytest.raises(DatasetError, match='does not hold'):
        DATA.ensure_on_machine(tmp_path)
    assert met == [True]
