"""Files are whole or what they were."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import mmengine
import pytest
import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.runner.checkpoint import save_checkpoint

from mmvsa.utils.files import install_whole_files, whole_file


@pytest.fixture
def whole_files() -> Iterator[None]:
    """Install the backend for one test."""
    install_whole_files()
    yield
    register_backend('local', LocalBackend, force=True, prefixes='')


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / 'file'
    path.write_bytes(b'old')
    with whole_file(path) as file:
        file.write(b'new')
        assert path.read_bytes() == b'old'
    assert path.read_bytes() == b'new'
    assert os.listdir(tmp_path) == ['file']
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / 'file'
    path.write_bytes(b'old')
    halves: list[Any] = [b'ne', 'w']
    with pytest.raises(TypeError), whole_file(path) as file:
        file.writelines(halves)  # fails after the first
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['file']


def test_it_is_on_the_disk_before_it_has_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = mock.Mock()
    calls.fsync.side_effect, calls.replace.side_effect = os.fsync, os.replace
    monkeypatch.setattr(os, 'fsync', calls.fsync)
    monkeypatch.setattr(os, 'replace', calls.replace)
    with whole_file(tmp_path / 'folder/file') as file:
        file.write(b'new')
    names = [name for name, *_ in calls.mock_calls]
    assert names == ['fsync', 'replace', 'fsync']  # the last one is the folder's


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / 'disk').mkdir()
    link = tmp_path / 'link'
    link.symlink_to(tmp_path / 'disk/file')
    with whole_file(link) as file:
        file.write(b'new')
    assert link.is_symlink() and (tmp_path / 'disk/file').read_bytes() == b'new'


def test_mmengine_writes_whole_files(
    tmp_path: Path, whole_files: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / 'epoch_1.pth'
    save_checkpoint(dict(a=torch.ones(2)), str(path))
    assert torch.load(path)['a'].sum() == 2
    mmengine.dump(dict(a=1), tmp_path / 'metrics.json')
    assert mmengine.load(tmp_path / 'metrics.json') == dict(a=1)

    def fail(descriptor: int) -> None:
        raise OSError('the disk is full')

    monkeypatch.setattr(os, 'fsync', fail)
    with pytest.raises(OSError, match='full'):
        save_checkpoint(dict(a=torch.zeros(2)), str(path))
    assert torch.load(path)['a'].sum() == 2
