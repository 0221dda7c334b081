"""Random numbers of a resumed training: those that it would have drawn without the interruption."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import Dataset, get_worker_info

from mmvsa.registry import HOOKS

# Where a checkpoint keeps the states, one for each process.
RANDOM_STATES = 'random_states'


def random_state() -> dict[str, Any]:
    """Return the states of Python's, NumPy's and PyTorch's generators, as plain values."""
    numpy: Any = np.random.get_state()
    name, keys, *rest = numpy
    state = dict(
        python=random.getstate(),
        numpy=(name, keys.tolist(), *rest),
        torch=torch.get_rng_state(),
    )
    if torch.cuda.is_available():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Set the generators to what :func:`random_state` has returned."""
    random.setstate(state['python'])
    name, keys, *rest = state['numpy']
    np.random.set_state((name, np.array(keys, np.uint32), *rest))
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())


class SeededBatches:
    """Fetch a batch in a worker with the random numbers of the iteration that it is for.

    The state of a worker cannot be saved: it works ahead of the training. So its generators are
    seeded for every batch, by the seed of the training, the process and the iteration.

    Args:
        dataset: of the training.
        seed: of the training.

    Attributes:
        first: Iteration of the first batch after the data loader has started, shared with the
            workers.
    """

    def __init__(self, dataset: Dataset, seed: int) -> None:
        self._fetch = getattr(dataset, '__getitems__', None)
        self._dataset = dataset
        self._seed = (seed, get_rank())
        self._started, self._num_fetched = -1, 0
        self.first = torch.zeros(1, dtype=torch.int64).share_memory_()

    def __call__(self, indices: Sequence[int]) -> list[Any]:
        """Return the samples of a batch; PyTorch's workers call it as ``dataset.__getitems__``."""
        worker = get_worker_info()
        if worker is not None:
            self._seed_generators(worker.id, worker.num_workers)
        if self._fetch is not None:
            return self._fetch(indices)
        return [self._dataset[index] for index in indices]

    def _seed_generators(self, worker: int, num_workers: int) -> None:
        if self._started != int(self.first):
            self._started, self._num_fetched = int(self.first), 0
        # Batches go to the workers in turn.
        iteration = self._started + self._num_fetched * num_workers + worker
        self._num_fetched += 1
        seeds = np.random.SeedSequence((*self._seed, iteration)).generate_state(3)
        random.seed(int(seeds[0]))
        np.random.seed(seeds[1])
        torch.manual_seed(int(seeds[2]))


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Let a resumed training draw the numbers that the interrupted one would have drawn.

    The states that ``mmvsa.CheckpointHook`` has saved are set when the training continues; the
    numbers that a validation draws are not taken from the training; workers of the data loader are
    seeded for every batch.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._resumed: dict[str, Any] | None = None
        self._batches: SeededBatches | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Remember the state of this process, to be set when the training starts."""
        if not runner._resume:
            return
        states = checkpoint.get(RANDOM_STATES, ())
        if len(states) == runner.world_size:
            self._resumed = states[get_rank()]
        else:
            runner.logger.warning(
                f'the checkpoint has the random states of {len(states)} processes and '
                f'{runner.world_size} resume: random numbers start from the seed'
            )

    def before_train(self, runner: Runner) -> None:
        """Take the seeds of workers from a generator of their own."""
        loader = runner.train_dataloader
        if loader.generator is None:
            loader.generator = torch.Generator()
        if loader.num_workers:
            seed = getattr(runner, 'strategy', runner).seed
            self._batches = SeededBatches(loader.dataset, seed)
            loader.dataset.__getitems__ = self._batches

    def before_train_epoch(self, runner: Runner) -> None:
        """Set the resumed state, and tell the workers for which iteration they start."""
        if self._resumed is not None:
            set_random_state(self._resumed)
            self._resumed = None
        if self._batches is not None:
            self._batches.first.fill_(_first_loaded(runner))

    def before_val_epoch(self, runner: Runner) -> None:
        """Remember the state of the training."""
        self._training = random_state()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Continue with the state of the training."""
        set_random_state(self._training)


def _first_loaded(runner: Runner) -> int:
    """Return the iteration of the first batch that the data loader is going to load.

    A resumed loop by iterations moves its sampler on, or, where it cannot, loads all batches again.
    """
    loop = runner.train_loop
    by_iterations = hasattr(loop, 'dataloader_iterator')
    if by_iterations and not hasattr(loop.dataloader.sampler, 'skip'):
        return 0
    return runner.iter
