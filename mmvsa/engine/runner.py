"""MMEngine's runner with strategies, and right counts in its checkpoints."""

from typing import Any

from mmengine.runner import FlexibleRunner as _FlexibleRunner

from mmvsa.registry import RUNNERS


@RUNNERS.register_module()
class FlexibleRunner(_FlexibleRunner):
    """Keeps the epoch and iteration that a checkpoint is said to be of.

    MMEngine's counts again by itself. Where a validation finds a new best model, its
    ``CheckpointHook`` writes the latest checkpoint once more, which then is one epoch ahead: a run
    that resumes from it leaves an epoch out.
    """

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
