"""The report of skipped images."""

from types import SimpleNamespace

import pytest

from mmvsa.engine import SkippedImagesHook


class Dataset(list):
    """Five images, some of them bad."""

    def __init__(self, *bad: str) -> None:
        super().__init__(range(5))
        self.bad = list(bad)

    def bad_images(self) -> list[str]:
        return self.bad


def test_each_is_named_once(capsys: pytest.CaptureFixture) -> None:
    inner = Dataset('b.png')
    wrapped = SimpleNamespace(datasets=[SimpleNamespace(dataset=inner), Dataset()], __len__=None)
    joined = type('Joined', (list,), {'datasets': wrapped.datasets})(range(10))
    loaders = dict(
        train_dataloader=SimpleNamespace(dataset=joined),
        val_dataloader=SimpleNamespace(dataset=Dataset('c.png')),
    )
    runner = SimpleNamespace(**loaders, logger=SimpleNamespace(warning=print))
    hook = SkippedImagesHook()
    hook.after_train_epoch(runner)
    assert capsys.readouterr().out.endswith('cannot be read: 1 of 10: b.png\n')
    inner.bad.append('a.png')
    hook.after_train(runner)
    hook.after_val_epoch(runner)
    hook.after_train_epoch(runner)
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition(': ')[2] for line in lines] == ['a.png', 'c.png']
