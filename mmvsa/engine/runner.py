"""MMEngine's runner with strategies, and right counts in its checkpoints."""

from typing import Any

from mmengine._strategy import FSDPStrategy
from mmengine.hooks import EMAHook
from mmengine.runner import FlexibleRunner as _FlexibleRunner

from mmvsa.registry import RUNNERS
from mmvsa.utils.errors import UsageError


@RUNNERS.register_module()
class FlexibleRunner(_FlexibleRunner):
    """Keeps the epoch and iteration that a checkpoint is said to be of.

    MMEngine's counts again by itself. Where a validation finds a new best model, its
    ``CheckpointHook`` writes the latest checkpoint once more, which then is one epoch ahead: a run
    that resumes from it leaves an epoch out.

    Raises:
        UsageError: an average of the weights is asked for from a sharded model.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        averages = [type(hook).__name__ for hook in self.hooks if isinstance(hook, EMAHook)]
        if averages and isinstance(self.strategy, FSDPStrategy):
            raise UsageError(
                f'{averages[0]} does not work with {type(self.strategy).__name__}: it copies the '
                'whole model, which no process has; take it out of custom_hooks, or train without '
                'strategy and runner_type'
            )

    def save_checkpoint(
        self, out_dir: str, filename: str, *args: Any, meta: dict | None = None, **kwargs: Any
    ) -> None:
        """Save as MMEngine does, and keep the counts for the hooks."""
        self._progress = {key: meta[key] for key in ('epoch', 'iter') if meta and key in meta}
        super().save_checkpoint(out_dir, filename, *args, meta=meta, **kwargs)

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Call all hooks; those before a checkpoint is saved see the right counts too."""
        if fn_name == 'before_save_checkpoint':
            kwargs['checkpoint']['meta'].update(self._progress)
        super().call_hook(fn_name, **kwargs)
