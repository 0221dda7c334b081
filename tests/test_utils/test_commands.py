"""Commands that can be copied."""

import shlex
import sys
from pathlib import Path

import pytest
from helpers.cli import ROOT

from mmvsa.utils.commands import shown_path, tool_command


def test_commands_survive_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a 'b';$(x)" / 'c.py'
    command = tool_command('train', path, '--work-dir', Path('w'))
    tool = str(ROOT / 'tools/train.py')
    assert shlex.split(command) == [sys.executable, tool, "a 'b';$(x)/c.py", '--work-dir', 'w']


def test_shown_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / 'a') == 'a'
    assert shown_path('..hidden') == '..hidden'
    assert shown_path('../b') == str(tmp_path.parent / 'b')
