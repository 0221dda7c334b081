"""A stand-in for MMEngine's runner."""

from pathlib import Path
from types import SimpleNamespace

from mmengine.logging import MessageHub


def fake_runner(hub: MessageHub, work_dir: Path, **attributes: object) -> SimpleNamespace:
    """Return what the hooks read of a runner."""
    defaults = dict(
        message_hub=hub,
        work_dir=str(work_dir),
        epoch=0,
        _train_loop=object(),
        train_dataloader=range(4),
        val_loop=None,
        experiment_name='name_2026_1',
        logger=SimpleNamespace(info=print, warning=print),
    )
    return SimpleNamespace(**{**defaults, **attributes})
