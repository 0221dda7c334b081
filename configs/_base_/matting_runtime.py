default_scope = 'mmvsa'
custom_imports = dict(imports=['mmvsa'], allow_failed_imports=False)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook', interval=1, max_keep_ckpts=2, save_best='matting/SAD', rule='less'
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='MatteVisualizationHook'),
)
custom_hooks = [
    dict(type='TrainingCurveHook', metrics=('matting/SAD', 'matting/MSE'), rule='less'),
]
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
val_cfg = {}
test_cfg = {}
val_evaluator = dict(type='MattingMetric')
test_evaluator = val_evaluator
randomness = dict(seed=0)
