"""Options of earlier versions."""

import pytest
from mmengine.config import Config

from mmvsa.utils.migration import OLD_OPTIONS, migrate


def old_config() -> Config:
    backbone = dict(type='mmvsa.ViTAEv2', arch='s-vsa', keep_activations=True)
    optimizer = dict(type='mmvsa.Muon', lr=3e-3, momentum=0.9, betas=(0.9, 0.98))
    constructor = 'mmvsa.MergedGroupsOptimWrapperConstructor'
    scenes = dict(type='mmvsa.PrepareDigitScenesHook', data_root='data/digit_scenes', num=8)
    return Config(
        dict(
            model=dict(backbone=backbone, teacher=dict(backbone=dict(backbone))),
            optim_wrapper=dict(constructor=constructor, optimizer=optimizer),
            custom_hooks=[scenes, dict(type='EMAHook')],
            work_dir='work',
        )
    )


def test_old_options_are_translated() -> None:
    cfg = old_config()
    migrate(cfg)
    assert cfg.to_dict() == dict(
        model=dict(
            backbone=dict(type='mmvsa.ViTAEv2', arch='s-vsa'),
            teacher=dict(backbone=dict(type='mmvsa.ViTAEv2', arch='s-vsa')),
        ),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=3e-3, betas=(0.9, 0.98))),
        custom_hooks=[dict(type='EMAHook')],
        work_dir='work',
    )


def test_each_is_reported_in_one_line(capsys: pytest.CaptureFixture) -> None:
    migrate(old_config())
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(OLD_OPTIONS)
    for option in OLD_OPTIONS:
        assert sum(f'{option} of an earlier mmvsa' in line for line in lines) == 1
    migrate(Config(dict(optim_wrapper=dict(optimizer=dict(type='SGD', momentum=0.9)))))
    assert capsys.readouterr().err == ''
