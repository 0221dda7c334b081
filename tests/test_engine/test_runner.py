"""Checkpoints of the flexible runner say the epoch that they are of."""

from typing import Any

import pytest
from mmengine.runner import FlexibleRunner as MMEngineRunner

from mmvsa.engine import FlexibleRunner


def test_a_checkpoint_keeps_the_counts_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """MMEngine counts again before the hooks see the checkpoint."""
    runner = object.__new__(FlexibleRunner)
    seen: list[dict[str, Any]] = []

    def save(self: Any, out_dir: str, filename: str, *args: Any, meta: Any, **kwargs: Any) -> None:
        counted_again = dict(epoch=meta['epoch'] + 1, iter=meta['iter'] + 1)
        self.call_hook('before_save_checkpoint', checkpoint=dict(meta=counted_again))

    def call(self: Any, name: str, **kwargs: Any) -> None:
        seen.append(kwargs['checkpoint']['meta'])

    monkeypatch.setattr(MMEngineRunner, 'save_checkpoint', save)
    monkeypatch.setattr(MMEngineRunner, 'call_hook', call)
    runner.save_checkpoint('out', 'epoch_3.pth', meta=dict(epoch=3, iter=12))
    assert seen == [dict(epoch=3, iter=12)]
