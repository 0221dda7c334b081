"""Settings that contradict themselves, the model or the data."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.cli import QUICKSTART
from mmengine.dataset import BaseDataset
from mmengine.hooks import CheckpointHook
from torch import nn

from mmvsa.datasets import DatasetError
from mmvsa.utils import UsageError, load_config
from mmvsa.utils.settings import (
    TRACEBACK,
    SettingsHook,
    check_settings,
    fit_topk,
    settings_error,
)


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('train_cfg.max_epochs', 0, 'must be an integer of at least 1, got 0'),
        ('train_cfg.max_epochs', 'abc', "must be an integer of at least 1, got 'abc'"),
        ('train_cfg.val_interval', 0, 'must be an integer of at least 1'),
        ('train_dataloader.batch_size', 2.5, 'must be an integer of at least 1, got 2.5'),
        ('val_dataloader.num_workers', -1, 'must be an integer of at least 0'),
        ('optim_wrapper.accumulative_counts', True, 'must be an integer of at least 1'),
        ('optim_wrapper.clip_grad.max_norm', -1, 'must be a number of at least 0'),
        ('optim_wrapper.optimizer.lr', float('nan'), 'must be a number of at least 0, got nan'),
        ('optim_wrapper.optimizer.type', 'AdanW', 'no optimizer AdanW; did you mean AdamW'),
        ('model', None, 'must be a dict with a type, got None'),
        ('model.backbone', 3, 'must be a dict with a type, got 3'),
    ],
)
def test_single_settings(key: str, value: Any, message: str) -> None:
    cfg = load_config(QUICKSTART)
    check_settings(cfg)
    cfg.merge_from_dict({key: value})
    with pytest.raises(UsageError, match=f'^{key}.* {message}'):
        check_settings(cfg)


def test_topk_follows_the_classes(capsys: pytest.CaptureFixture) -> None:
    options = {'model.head.num_classes': 3, 'model.head.topk': (5,), 'val_evaluator.topk': (1, 5)}
    cfg = load_config(QUICKSTART, options)
    cfg.test_evaluator = [dict(type='Accuracy', topk=(1,)), dict(type='ConfusionMatrix')]
    fit_topk(cfg)
    assert (cfg.model.head.topk, cfg.val_evaluator.topk) == ((1,), (1,))
    assert cfg.test_evaluator[0].topk == (1,)
    said = capsys.readouterr().out
    assert 'val_evaluator.topk=(1, 5) becomes (1,): the head has 3 classes' in said


class Data(list):
    """Samples and what they are of."""

    def __init__(self, count: int, classes: tuple[str, ...] | None = None, **more: Any) -> None:
        super().__init__(range(count))
        self.metainfo = dict(classes=classes) if classes else {}
        vars(self).update(more)


def model_of(**heads: int) -> nn.Module:
    model = nn.Module()
    for name, count in heads.items():
        head = nn.Linear(1, 1)
        vars(head)['num_classes'] = count
        model.add_module(name, head)
    return model


def check(dataset: Data, model: nn.Module, batch: int = 2, **more: Any) -> None:
    loader = torch.utils.data.DataLoader(dataset, batch_size=batch, drop_last=True)
    attributes = dict(
        model=model, hooks=[], _val_loop=None, _train_loop=SimpleNamespace(dataloader=loader)
    )
    SettingsHook().before_run(SimpleNamespace(**{**attributes, **more}))


def test_classes_of_data_and_heads() -> None:
    data = Data(4, tuple('abcde'), data_root='/folder')
    check(data, model_of(head=5, rpn_head=1, auxiliary_head=5, semantic_head=54))
    check(Data(4), model_of(head=3))
    message = '5 classes in /folder, 3 in model.{}; set model.{}.num_classes=5'
    for name in ('head', 'decode_head', 'bbox_head'):
        with pytest.raises(UsageError, match=message.format(name, name)):
            check(data, model_of(**{name: 3}))


def test_empty_datasets_say_why(tmp_path: Any) -> None:
    with pytest.raises(UsageError, match='train_dataloader.dataset reads no sample in Data'):
        check(Data(0), model_of())
    with pytest.raises(UsageError, match='has 1 samples, fewer than a batch'):
        check(Data(1), model_of())
    ann_file = tmp_path / 'a.json'
    ann_file.write_text('{"categories": [{"name": "thing_0"}]}')
    found = Data(0, ('0', '1'), ann_file=str(ann_file))
    with pytest.raises(UsageError, match='classes are 0, 1, those of .*a.json are thing_0; set'):
        check(found, model_of())
    (tmp_path / 'x.jpg').touch()
    found = Data(0, img_suffix='.png', data_prefix=dict(img_path=str(tmp_path)))
    with pytest.raises(UsageError, match=r'no \*\.png in .*which has \.jpg, .*set img_suffix'):
        check(found, model_of())


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(save_best='top1', rule='greater'), 'no metric top1; names begin with accuracy, iou/'),
        (dict(save_best='accuracy/top5'), 'no metric accuracy/top5; did you mean accuracy/top1'),
        (dict(intervalx=2), 'takes no intervalx; did you mean interval'),
        (dict(save_best='accuracy/top1'), None),
        (dict(save_best='auto'), None),
        (dict(save_best='iou/mIoU', rule='greater'), None),
    ],
)
def test_best_checkpoint(options: dict[str, Any], message: str | None) -> None:
    metrics = [
        SimpleNamespace(prefix='accuracy', topk=(1,), thrs=(0.0,)),
        SimpleNamespace(prefix='iou'),
    ]
    more = dict(
        hooks=[CheckpointHook(**options)],
        val_evaluator=SimpleNamespace(metrics=metrics),
        _val_loop=object(),
    )
    if message is None:
        check(Data(4), model_of(), **more)
        return
    with pytest.raises(UsageError, match=message):
        check(Data(4), model_of(), **more)


def test_building_an_empty_dataset_says_why(tmp_path: Path) -> None:
    """MMEngine fails in numpy, without a name."""
    ann_file = tmp_path / 'a.json'
    ann_file.write_text('{"categories": [{"name": "thing_0"}]}')

    class Empty(BaseDataset):
        METAINFO = dict(classes=('0', '1'))

        def load_data_list(self) -> list:
            return []

    with pytest.raises(ValueError, match='concatenate') as caught:
        Empty(ann_file=str(ann_file))
    error = settings_error(load_config(QUICKSTART), caught.value)
    assert isinstance(error, UsageError)
    assert str(error).startswith('Empty reads no sample: its classes are 0, 1, those of')


def test_a_dataset_that_refuses_its_options_is_not_taken_for_an_empty_one() -> None:
    """It may do so before MMEngine's constructor has given it its attributes."""

    class Refusing(BaseDataset):
        def __init__(self) -> None:
            raise ValueError('split must be train')

    with pytest.raises(ValueError, match='split') as caught:
        Refusing()
    error = settings_error(load_config(QUICKSTART), caught.value)
    assert str(error).startswith('ValueError: split must be train')


def test_errors_of_building_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TRACEBACK, raising=False)
    cfg = load_config(QUICKSTART)
    error = settings_error(cfg, KeyError('LinearLRR is not in the parameter scheduler registry'))
    assert isinstance(error, UsageError) and 'did you mean LinearLR' in str(error)
    error = settings_error(cfg, ValueError('two\nlines'))
    assert str(error) == f'ValueError: two lines ({TRACEBACK}=1 shows where)'
    cfg.optim_wrapper.optimizer.lrr = 1
    error = settings_error(cfg, TypeError("AdamW() got an unexpected keyword argument 'lrr'"))
    assert 'did you mean lr' in str(error)
    for own in (UsageError('x'), DatasetError('x')):
        assert settings_error(cfg, own) is own
    monkeypatch.setenv(TRACEBACK, '1')
    other = ValueError('x')
    assert settings_error(cfg, other) is other
