"""A report of the images that a dataset has skipped."""

from collections.abc import Iterator
from typing import Any

from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvsa.registry import HOOKS

_SHOWN = 20


@HOOKS.register_module()
class SkippedImagesHook(Hook):
    """Count and name bad images at the end of the epoch in which a dataset skipped them.

    The dataset says which by ``bad_images()``, as :class:`mmvsa.datasets.FolderSplit` does with
    ``skip_bad``.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()

    def after_train_epoch(self, runner: Runner) -> None:
        """Report the training's new ones."""
        self._report(runner, runner.train_dataloader.dataset)

    def after_train(self, runner: Runner) -> None:
        """Report what is left; iteration-based training has no epochs."""
        self._report(runner, runner.train_dataloader.dataset)

    def after_val_epoch(self, runner: Runner, metrics: Any = None) -> None:
        """Report those of the validation."""
        self._report(runner, runner.val_dataloader.dataset)

    def after_test_epoch(self, runner: Runner, metrics: Any = None) -> None:
        """Report those of the test."""
        self._report(runner, runner.test_dataloader.dataset)

    def _report(self, runner: Runner, dataset: Any) -> None:
        own = [path for inner in _inner_datasets(dataset) for path in inner.bad_images()]
        found = sorted({path for paths in all_gather_object(own) for path in paths} - self._known)
        if not found:
            return
        self._known.update(found)
        more = f' and {len(found) - _SHOWN} more' if len(found) > _SHOWN else ''
        runner.logger.warning(
            f'skipped images that cannot be read: {len(found)} of {len(dataset)}: '
            f'{", ".join(found[:_SHOWN])}{more}'
        )


def _inner_datasets(dataset: Any) -> Iterator[Any]:
    """Yield the datasets inside wrappers that know their bad images."""
    if hasattr(dataset, 'bad_images'):
        yield dataset
    for inner in getattr(dataset, 'datasets', [getattr(dataset, 'dataset', None)]):
        if inner is not None:
            yield from _inner_datasets(inner)
