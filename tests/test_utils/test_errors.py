"""One line for errors that a user can correct."""

import pytest
from torch._utils import ExceptionWrapper

from mmvsa.datasets import DatasetError
from mmvsa.utils import UsageError, usage_errors


def test_one_line_and_status_2(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stopped, usage_errors():
        raise UsageError('config x.py does not exist')
    assert stopped.value.code == 2
    assert capsys.readouterr().err == 'error: config x.py does not exist\n'


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), usage_errors():
        raise KeyError('a bug')


def test_errors_of_a_worker_are_their_last_line(capsys: pytest.CaptureFixture) -> None:
    """A dataloader puts the traceback of its worker into the message."""
    try:
        raise DatasetError('a.png cannot be read')
    except DatasetError:
        wrapped = ExceptionWrapper(where='in DataLoader worker process 0')
    with pytest.raises(SystemExit), usage_errors():
        wrapped.reraise()
    assert capsys.readouterr().err == 'error: a.png cannot be read\n'
