"""The arguments that training and testing share."""

import argparse
import os

import pytest

from mmvsa.utils.arguments import parse_run


@pytest.fixture(autouse=True)
def torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a rank in the environment, which is as before after the test."""
    monkeypatch.setenv('LOCAL_RANK', '5')


def test_options_that_are_given_twice_add_up() -> None:
    argv = ['--cfg-options', 'a=1', 'b=2', '--launcher', 'mpi', '--cfg-options', 'c=3']
    args = parse_run(argparse.ArgumentParser(), argv)
    assert args.cfg_options == ['a=1', 'b=2', 'c=3']
    assert args.launcher == 'mpi'
    assert not args.trust_checkpoint
    assert not args.skip_bad_images
    # A default that was extended in place would come back in the next call.
    assert parse_run(argparse.ArgumentParser(), []).cfg_options == []


@pytest.mark.parametrize('option', ['--local_rank', '--local-rank'])
def test_the_rank_of_an_older_launcher_is_exported(
    option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse_run(argparse.ArgumentParser(), [f'{option}=3'])
    assert os.environ['LOCAL_RANK'] == '5'
    monkeypatch.delenv('LOCAL_RANK')
    parse_run(argparse.ArgumentParser(), [f'{option}=3'])
    assert os.environ['LOCAL_RANK'] == '3'


def test_an_unknown_launcher_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_run(argparse.ArgumentParser(), ['--launcher', 'none,mpi'])
    assert "'none,mpi'" in capsys.readouterr().err
