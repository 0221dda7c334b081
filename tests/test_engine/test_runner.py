"""The flexible runner: counts of its checkpoints, what it refuses."""

from typing import Any

import pytest
from mmengine.hooks import EMAHook, IterTimerHook
from mmengine.runner import FlexibleRunner as MMEngineRunner

from mmvsa.engine import FlexibleRunner, FSDPStrategy
from mmvsa.utils import UsageError


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


def test_an_average_of_a_sharded_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is built."""

    def build(self: Any, hooks: list, strategy: object) -> None:
        self._hooks, self.strategy = hooks, strategy

    monkeypatch.setattr(MMEngineRunner, '__init__', build)
    sharded = object.__new__(FSDPStrategy)
    with pytest.raises(UsageError, match='EMAHook does not work with FSDPStrategy'):
        FlexibleRunner(hooks=[IterTimerHook(), EMAHook()], strategy=sharded)
    FlexibleRunner(hooks=[IterTimerHook()], strategy=sharded)
    FlexibleRunner(hooks=[EMAHook()], strategy=object())
