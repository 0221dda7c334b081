# One convolution over all four maps of a small ViTAEv2-VSA, on DigitScenes: minutes on a CPU, no
# download. It starts from the backbone that vitaev2-vsa-nano_digit-scenes.py trains.
_base_ = [
    '../_base_/seg_runtime.py',
    'mmseg::_base_/models/fcn_hr18.py',
    '../_base_/models/vitaev2-vsa-nano.py',
    '../_base_/datasets/digit_scenes_segmentation.py',
    '../_base_/schedules/adamw_quickstart.py',
]

data_preprocessor = dict(size={{_base_.crop_size}}, mean=[127.5] * 3, std=[63.75] * 3)
model = dict(
    data_preprocessor=data_preprocessor,
    pretrained=None,
    backbone=dict(
        _delete_=True,
        type='mmvsa.ViTAEv2',
        arch={{_base_.nano_arch}},
        out_indices=(0, 1, 2, 3),
        init_cfg={{_base_.nano_weights}},
    ),
    # UperNet's pyramid is too deep for so few iterations.
    decode_head=dict(
        in_channels=[32, 64, 96, 128],
        channels=128,
        num_classes=11,
        norm_cfg=None,
        act_cfg=dict(type='GELU'),
        init_cfg=dict(type='TruncNormal', std=0.05, override=dict(name='conv_seg')),
        # With so few iterations cross-entropy alone finds too little of the digits.
        loss_decode=[
            dict(type='CrossEntropyLoss'),
            dict(type='LovaszLoss', reduction='none'),
        ],
    ),
)

max_epochs = 6
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=100),
    dict(type='CosineAnnealingLR', eta_min=1e-5, end=max_epochs, convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=max_epochs)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(base_batch_size=4)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=25),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=1),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(_scope_='mmseg', type='SegVisualizationHook'),
)
log_processor = dict(by_epoch=True)
randomness = dict(seed=0)
