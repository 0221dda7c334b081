# mmseg's runtime, counted in epochs, with the four panels of a pair.
_base_ = ['./seg_runtime.py']

visualizer = dict(type='mmvsa.ChangeVisualizer')
log_processor = dict(by_epoch=True)
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook', interval=1, max_keep_ckpts=1, save_best='change/F1', rule='greater'
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(_scope_='mmseg', type='SegVisualizationHook'),
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
