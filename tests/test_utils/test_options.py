"""Values and keys of --cfg-options."""

from pathlib import Path
from typing import Any

import pytest
from helpers.cli import QUICKSTART, ROOT

from mmvsa.utils import UsageError, load_config
from mmvsa.utils.options import accepted_by, parse_options

IMAGENET = ROOT / 'configs/vitaev2_vsa/vitaev2-s-vsa_8xb128_in1k.py'


@pytest.mark.parametrize(
    ('word', 'value'),
    [
        ('data_root=/a b/my photos', '/a b/my photos'),
        ('data_root=a, b', 'a, b'),
        ('data_root=2024_01_15', '2024_01_15'),
        ('data_root=007', '007'),
        ("data_root='x'", "'x'"),
        ('data_root=a=b', 'a=b'),
        ('work_dir=1e3', '1e3'),
        ('model.backbone.init_cfg.checkpoint=True', 'True'),
        ('train_dataloader.dataset.data_prefix.img=1,2', '1,2'),
        ('load_from=None', None),
        ('train_dataloader.dataset.ann_file=[a, b]', ['a', 'b']),
        ('optim_wrapper.optimizer.lr=1e-3', 1e-3),
        ('val_evaluator.topk=(1,5)', (1, 5)),
        ('a.b=true', True),
    ],
)
def test_values(word: str, value: Any) -> None:
    """Paths are taken literally, everything else as MMEngine does."""
    (parsed,) = parse_options([word]).values()
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize('word', ['foo', '=3', 'a=1,[(1', 'a=[x(1,2),3]'])
def test_words_that_are_no_option(word: str) -> None:
    with pytest.raises(UsageError, match='--cfg-options'):
        parse_options([word])


@pytest.mark.parametrize(
    'value', ['dict(type="A")', "[dict(type='A'), dict(type='B')]", "{'type': 'A'}", "[{'a': 1}]"]
)
def test_a_dict_is_no_value(value: str) -> None:
    """MMEngine takes one for a word, and does not return where it is in a list."""
    with pytest.raises(UsageError, match='a dict is set key by key'):
        parse_options([f'model.head.loss={value}'])
    assert parse_options(['a.filename_tmpl={}.pth']) == {'a.filename_tmpl': '{}.pth'}


@pytest.mark.parametrize(
    ('key', 'message'),
    [
        ('trian_cfg.max_epochs', 'nothing reads trian_cfg; set train_cfg.max_epochs'),
        ('max_epochs', 'max_epochs was used when the config was read; set train_cfg.max_epochs'),
        ('nonsense', 'nothing reads nonsense'),
        ('train_cfg.max_epoch', 'train_cfg takes no max_epoch; did you mean max_epochs'),
        ('train_dataloader.batch_siz', 'did you mean batch_size'),
        ('optim_wrapper.optimizer.lrr', 'optim_wrapper.optimizer takes no lrr; did you mean lr'),
        ('optim_wrapper.clip_grad.max_nrm', 'did you mean max_norm'),
        ('model.backbone.drop_path_rat', 'did you mean drop_path_rate'),
        ('default_hooks.logge.interval', 'did you mean logger'),
        ('default_hooks.logger.intervalx', 'did you mean interval'),
        ('env_cfg.cudnn_benchmrk', 'did you mean cudnn_benchmark'),
        ('randomness.sed', 'did you mean seed'),
        ('param_scheduler.7.end', 'param_scheduler has entries 0 to 1'),
        ('custom_hooks.x.type', 'custom_hooks has entries 0 to 2'),
        ('train_cfg.max_epochs.x', 'train_cfg.max_epochs is 14, which has no x'),
        ('train_dataloader.dataset.pipelin', 'did you mean pipeline'),
    ],
)
def test_keys_that_nothing_reads(key: str, message: str) -> None:
    with pytest.raises(UsageError, match=f'^--cfg-options {key}: .*{message}'):
        load_config(QUICKSTART, {key: 1})


@pytest.mark.parametrize(
    'key',
    [
        'train_dataloader.prefetch_factor',
        'train_dataloader.sampler.round_up',
        'optim_wrapper.accumulative_counts',
        'optim_wrapper.clip_grad.error_if_nonfinite',
        'env_cfg.dist_cfg.timeout',
        'default_hooks.checkpoint.max_keep_ckpts',
        'default_hooks.logger.interval_exp_name',
        'model.backbone.with_cp',
        'model.head.cal_acc',
        'model.train_cfg',
        'val_evaluator.collect_device',
        'find_unused_parameters',
        'custom_hooks.0.rule',
        'param_scheduler.0.begin',
        'randomness.deterministic',
        'visualizer.save_dir',
        'train_dataloader.dataset.indices',
    ],
)
def test_keys_that_the_config_lacks(key: str) -> None:
    options = {key: 1}
    cfg = load_config(QUICKSTART, options)
    assert cfg.to_dict() != load_config(QUICKSTART).to_dict()


def test_literal_data_root(tmp_path: Path) -> None:
    root = tmp_path / '007, a'
    root.mkdir()
    cfg = load_config(IMAGENET, [f'data_root={root}', 'train_dataloader.batch_size=2'])
    assert cfg.train_dataloader.dataset.data_root == str(root)
    assert cfg.train_dataloader.batch_size == 2


def test_arguments_of_classes() -> None:
    class Open:
        def __init__(self, a: int, **kwargs: int) -> None: ...

    class Closed:
        def __init__(self, b: int) -> None: ...

    class Child(Closed):
        def __init__(self, c: int, **kwargs: int) -> None: ...

    assert accepted_by(Open) is None
    assert accepted_by(Child) == {'b', 'c', 'type', '_scope_', '_delete_', 'init_cfg'}
    assert accepted_by('NoSuchClass') is None
