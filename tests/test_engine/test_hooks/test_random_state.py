"""Random numbers that do not depend on interruptions, validations and workers."""

import io
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.runners import fake_runner
from mmengine.logging import MessageHub
from torch.utils.data import DataLoader, Dataset

from mmvsa.engine.hooks.random_state import (
    RANDOM_STATES,
    RandomStateHook,
    SeededBatches,
    random_state,
    set_random_state,
)


class Numbers(Dataset):
    """Draws from all three generators."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> list[float]:
        return draw()


def draw() -> list[float]:
    return [random.random(), float(np.random.rand()), float(torch.rand(1))]


def through_a_file(content: object) -> object:
    """Save and read as a checkpoint that holds no code."""
    file = io.BytesIO()
    torch.save(content, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_the_states_of_all_generators_come_back() -> None:
    np.random.randn()  # leaves a second normal number behind
    state = through_a_file(random_state())
    expected = [*draw(), np.random.randn()]
    assert [*draw(), np.random.randn()] != expected
    set_random_state(state)
    assert [*draw(), np.random.randn()] == expected


def batches(first: int, workers: int, count: int = 4, epochs: int = 1, seed: int = 0) -> list:
    """Return the first batches that a loader draws from iteration ``first`` on."""
    dataset = Numbers()
    seeded = SeededBatches(dataset, seed)
    setattr(dataset, '__getitems__', seeded)  # noqa: B010 - mypy knows no such method
    options: dict[str, Any] = dict(num_workers=workers, persistent_workers=True, collate_fn=list)
    loader = DataLoader(dataset, batch_size=2, **options)
    drawn = []
    for epoch in range(epochs):
        seeded.first.fill_(first + epoch * len(loader))
        drawn += list(loader)
    return drawn[:count]


def test_batches_depend_on_their_iteration_alone() -> None:
    """Not on the number of workers, nor on where the training has started."""
    whole = batches(0, workers=2, epochs=2, count=8)
    assert len({str(batch) for batch in whole}) == 8
    assert batches(4, workers=3) == whole[4:]
    assert batches(0, workers=1) == whole[:4]
    assert batches(0, workers=1, seed=1) != whole[:4]


def test_without_workers_nothing_is_seeded() -> None:
    dataset = Numbers()
    seeded = SeededBatches(dataset, 0)
    torch.manual_seed(3)
    expected = float(torch.rand(1))
    torch.manual_seed(3)
    assert seeded([0])[0][2] == expected


def test_a_dataset_that_fetches_batches_itself() -> None:
    class Fetching(Numbers):
        def __getitems__(self, indices: list[int]) -> list[int]:
            return [10 * index for index in indices]

    assert SeededBatches(Fetching(), 0)([1, 2]) == [10, 20]


def test_a_validation_takes_nothing_from_the_training(tmp_path: Path) -> None:
    hook, runner = RandomStateHook(), fake_runner(MessageHub('name'), tmp_path)
    state = random_state()
    hook.before_val_epoch(runner)
    draw()
    hook.after_val_epoch(runner)
    expected = draw()
    set_random_state(state)
    assert draw() == expected


@pytest.mark.parametrize(('world_size', 'warned'), [(1, False), (2, True)])
def test_states_of_as_many_processes(
    tmp_path: Path, capsys: pytest.CaptureFixture, world_size: int, warned: bool
) -> None:
    loader = SimpleNamespace(generator=None, num_workers=0)
    runner = fake_runner(
        MessageHub('name'), tmp_path, _resume=True, world_size=world_size, train_dataloader=loader
    )
    checkpoint = {RANDOM_STATES: [random_state()]}
    expected = draw()
    hook = RandomStateHook()
    hook.after_load_checkpoint(runner, checkpoint)
    hook.before_train(runner)
    hook.before_train_epoch(runner)
    assert (draw() == expected) is not warned
    assert ('states of 1 processes and 2 resume' in capsys.readouterr().out) is warned
    second = draw()
    hook.before_train_epoch(runner)  # of the next epoch
    assert draw() != expected and second != expected


def test_a_new_training_takes_no_state(tmp_path: Path) -> None:
    runner = fake_runner(MessageHub('name'), tmp_path, _resume=False, world_size=1)
    hook = RandomStateHook()
    hook.after_load_checkpoint(runner, {RANDOM_STATES: [random_state()]})
    expected = random_state()
    hook.before_train_epoch(runner)
    assert torch.equal(torch.get_rng_state(), expected['torch'])
