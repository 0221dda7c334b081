auto_scale_lr = dict(base_batch_size=64)
custom_hooks = [
    dict(type='mmvsa.TrainingCurveHook'),
    dict(type='mmvsa.WindowVisualizationHook'),
    dict(type='mmvsa.NextStepsHook'),
]
custom_imports = dict(
    allow_failed_imports=False, imports=[
        'mmvsa',
    ])
data_preprocessor = dict(
    mean=[
        127.5,
        127.5,
        127.5,
    ],
    num_classes=10,
    std=[
        127.5,
        127.5,
        127.5,
    ],
    to_rgb=True)
default_hooks = dict(
    checkpoint=dict(
        _scope_='mmpretrain',
        interval=1,
        max_keep_ckpts=2,
        rule='greater',
        save_best='accuracy/top1',
        type='CheckpointHook'),
    logger=dict(_scope_='mmpretrain', interval=20, type='LoggerHook'),
    param_scheduler=dict(_scope_='mmpretrain', type='ParamSchedulerHook'),
    sampler_seed=dict(_scope_='mmpretrain', type='DistSamplerSeedHook'),
    timer=dict(_scope_='mmpretrain', type='IterTimerHook'),
    visualization=dict(
        _scope_='mmpretrain', enable=False, type='VisualizationHook'))
default_scope = 'mmpretrain'
env_cfg = dict(
    cudnn_benchmark=False,
    dist_cfg=dict(backend='gloo'),
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
image_size = 32
launcher = 'none'
load_from = 'work_dirs/vitaev2-vsa-nano_digits/epoch_1.pth'
log_level = 'INFO'
max_epochs = 1
model = dict(
    _scope_='mmpretrain',
    backbone=dict(
        arch=dict(
            depths=(
                0,
                1,
            ),
            downsample=(
                4,
                2,
            ),
            embed_dims=(
                2,
                4,
            ),
            kernel_sizes=(
                7,
                3,
            ),
            mlp_ratio=1.0,
            nc_attention=(
                'vsa',
                'vsa',
            ),
            nc_groups=(
                1,
                8,
            ),
            num_heads=(
                2,
                4,
            ),
            rc_attention=(
                'vsa',
                'vsa',
            ),
            rc_groups=(
                1,
                4,
            ),
            rc_heads=(
                2,
                4,
            ),
            token_dims=(
                8,
                16,
            ),
            window_size=4),
        drop_path_rate=0.05,
        keep_activations=True,
        out_indices=(1, ),
        type='mmvsa.ViTAEv2'),
    head=dict(
        in_channels=16,
        init_cfg=dict(bias=0.0, layer='Linear', std=0.02, type='TruncNormal'),
        loss=dict(
            label_smooth_val=0.1, mode='original', type='LabelSmoothLoss'),
        num_classes=10,
        topk=(1, ),
        type='LinearClsHead'),
    neck=dict(type='GlobalAveragePooling'),
    type='ImageClassifier')
optim_wrapper = dict(
    clip_grad=dict(max_norm=5.0),
    constructor='mmvsa.MergedGroupsOptimWrapperConstructor',
    optimizer=dict(fused=True, lr=0.01, type='AdamW', weight_decay=0.05),
    paramwise_cfg=dict(
        bias_decay_mult=0.0, flat_decay_mult=0.0, norm_decay_mult=0.0),
    type='OptimWrapper')
param_scheduler = [
    dict(by_epoch=False, end=30, start_factor=0.05, type='LinearLR'),
    dict(
        begin=30,
        by_epoch=False,
        end=240,
        eta_min=0.0001,
        type='CosineAnnealingLR'),
]
randomness = dict(deterministic=False, seed=0)
resume = False
test_cfg = dict()
test_dataloader = dict(
    batch_size=90,
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        _scope_='mmpretrain',
        pipeline=[
            dict(type='mmvsa.LoadImage'),
            dict(interpolation='bicubic', scale=(
                32,
                32,
            ), type='Resize'),
            dict(type='PackInputs'),
        ],
        split='test',
        type='mmvsa.Digits'),
    num_workers=0,
    persistent_workers=False,
    pin_memory=False,
    sampler=dict(shuffle=False, type='DefaultSampler'))
test_evaluator = dict(_scope_='mmpretrain', topk=(1, ), type='Accuracy')
test_pipeline = [
    dict(type='mmvsa.LoadImage'),
    dict(interpolation='bicubic', scale=(
        32,
        32,
    ), type='Resize'),
    dict(type='PackInputs'),
]
train_cfg = dict(by_epoch=True, max_epochs=1, val_interval=1)
train_dataloader = dict(
    batch_size=6,
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        _scope_='mmpretrain',
        pipeline=[
            dict(type='mmvsa.LoadImage'),
            dict(interpolation='bicubic', scale=(
                32,
                32,
            ), type='Resize'),
            dict(
                transforms=[
                    [
                        dict(
                            angle=12.0,
                            prob=1.0,
                            random_negative_prob=0.5,
                            type='Rotate'),
                    ],
                    [
                        dict(
                            direction='horizontal',
                            magnitude=0.1,
                            prob=1.0,
                            type='Translate'),
                    ],
                    [
                        dict(
                            direction='vertical',
                            magnitude=0.1,
                            prob=1.0,
                            type='Translate'),
                    ],
                    [
                        dict(magnitude=0.15, prob=1.0, type='Shear'),
                    ],
                ],
                type='RandomChoice'),
            dict(type='PackInputs'),
        ],
        split='train',
        type='mmvsa.Digits'),
    num_workers=0,
    persistent_workers=False,
    pin_memory=False,
    sampler=dict(shuffle=True, type='DefaultSampler'))
train_pipeline = [
    dict(type='mmvsa.LoadImage'),
    dict(interpolation='bicubic', scale=(
        32,
        32,
    ), type='Resize'),
    dict(
        transforms=[
            [
                dict(
                    angle=12.0,
                    prob=1.0,
                    random_negative_prob=0.5,
                    type='Rotate'),
            ],
            [
                dict(
                    direction='horizontal',
                    magnitude=0.1,
                    prob=1.0,
                    type='Translate'),
            ],
            [
                dict(
                    direction='vertical',
                    magnitude=0.1,
                    prob=1.0,
                    type='Translate'),
            ],
            [
                dict(magnitude=0.15, prob=1.0, type='Shear'),
            ],
        ],
        type='RandomChoice'),
    dict(type='PackInputs'),
]
val_cfg = dict()
val_dataloader = dict(
    batch_size=90,
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        _scope_='mmpretrain',
        pipeline=[
            dict(type='mmvsa.LoadImage'),
            dict(interpolation='bicubic', scale=(
                32,
                32,
            ), type='Resize'),
            dict(type='PackInputs'),
        ],
        split='test',
        type='mmvsa.Digits'),
    num_workers=0,
    persistent_workers=False,
    pin_memory=False,
    sampler=dict(shuffle=False, type='DefaultSampler'))
val_evaluator = dict(_scope_='mmpretrain', topk=(1, ), type='Accuracy')
vis_backends = [
    dict(_scope_='mmpretrain', type='LocalVisBackend'),
]
visualizer = dict(
    _scope_='mmpretrain',
    type='UniversalVisualizer',
    vis_backends=[
        dict(type='LocalVisBackend'),
    ])
work_dir = './work_dirs/vitaev2-vsa-nano_digits'
