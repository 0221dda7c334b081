"""Several processes and machines: two network namespaces, and a process that hangs."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from helpers.cli import ROOT, tiny_config

HANG = """
import os, signal
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class Hang(Hook):
    def after_train_iter(self, runner, *args, **kwargs):
        if runner.rank == 1:
            print('rank 1 hangs', flush=True)
            os.kill(os.getpid(), signal.SIGSTOP)
"""
HANGING = """
custom_imports = dict(imports=['mmvsa', 'hang'], allow_failed_imports=False)
custom_hooks = [dict(type='Hang')]
env_cfg = dict(dist_cfg=dict(timeout={timeout}))
"""


def start(*command: object, **env: str) -> subprocess.Popen:
    """Start a command from the repository's root; its output goes into one pipe."""
    paths = os.pathsep.join([str(ROOT), env.pop('PYTHONPATH', '')])
    return subprocess.Popen(
        [str(part) for part in command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={
            **os.environ,
            'PYTHONPATH': paths,
            'PYTHON': sys.executable,
            'OMP_NUM_THREADS': '1',
            **env,
        },
    )


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='MMEngine joins the group where a GPU is')
def test_a_hanging_process_ends_the_run_in_the_time_that_was_set(tmp_path: Path) -> None:
    """By default the others wait for it for half an hour."""
    (tmp_path / 'hang.py').write_text(HANG)
    config = tiny_config(tmp_path, extra=HANGING.format(timeout=40))
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    args = (config, 2, '--work-dir', tmp_path / 'work')
    started = time.monotonic()
    run = start('bash', 'tools/dist_train.sh', *args, PORT=port, PYTHONPATH=str(tmp_path))
    output, _ = run.communicate(timeout=600)
    assert run.returncode != 0
    assert 'rank 1 hangs' in output and 'Timed out waiting 40000ms' in output
    # Starting takes a while; torchrun gives the hanging process 30 seconds to end.
    assert time.monotonic() - started < 500


def ip(*args: str) -> bool:
    """Run ``ip``; whether it was allowed."""
    return subprocess.run(['ip', *args], capture_output=True).returncode == 0


@pytest.fixture
def machines() -> Iterator[list[str]]:
    """Two network namespaces, joined by a cable: 10.77.0.1 and 10.77.0.2 at eth-mmvsa."""
    names = [f'mmvsa{os.getpid()}-{index}' for index in range(2)]
    if os.geteuid() != 0 or shutil.which('ip') is None or not ip('netns', 'add', names[0]):
        pytest.skip(reason='needs root, and ip of iproute2 that may make network namespaces')
    try:
        assert ip('netns', 'add', names[1])
        card = 'eth-mmvsa'
        both = ('type', 'veth', 'peer', 'name', card, 'netns', names[1])
        assert ip('link', 'add', card, 'netns', names[0], *both)
        for index, name in enumerate(names, start=1):
            assert ip('-n', name, 'address', 'add', f'10.77.0.{index}/24', 'dev', card)
            assert ip('-n', name, 'link', 'set', card, 'up')
            assert ip('-n', name, 'link', 'set', 'lo', 'up')
        yield names
    finally:
        for name in names:
            ip('netns', 'delete', name)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='for processes on CPUs')
def test_two_machines_train_together(tmp_path: Path, machines: list[str]) -> None:
    config = tiny_config(tmp_path)
    common = dict(NNODES='2', MASTER_ADDR='10.77.0.1', PORT='29533', GLOO_SOCKET_IFNAME='eth-mmvsa')
    runs = [
        start(
            *('ip', 'netns', 'exec', name, 'bash', 'tools/dist_train.sh', config, 1),
            *('--work-dir', tmp_path / 'work'),
            **common,
            NODE_RANK=str(rank),
        )
        for rank, name in enumerate(machines)
    ]
    outputs = [run.communicate(timeout=600)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], '\n'.join(outputs)
    assert 'GPU number: 2' in outputs[0]
    checkpoint = torch.load(tmp_path / 'work/epoch_1.pth', weights_only=False)
    assert checkpoint['meta']['iter'] == 2  # 64 images, 16 in each process
    assert len(checkpoint['random_states']) == 2
