# UperNet on a small ViTAEv2-VSA and DigitScenes: minutes on a CPU, no download.
# It starts from the backbone that `pretrained_by` trains.
_base_ = [
    '../_base_/models/upernet_vitaev2.py',
    '../_base_/models/vitaev2-vsa-nano.py',
    '../_base_/datasets/digit_scenes_segmentation.py',
    '../_base_/schedules/adamw_quickstart.py',
    '../_base_/seg_runtime.py',
]

pretrained_by = 'configs/quickstart/vitaev2-vsa-nano_digit-scenes.py'
width = 48
# Pooled maps have a few pixels: with batch norms over them the head stayed at background.
norm_cfg = dict(type='GN', num_groups=8)
data_preprocessor = dict(size=(128, 128), mean=[127.5] * 3, std=[63.75] * 3)
model = dict(
    data_preprocessor=data_preprocessor,
    backbone=dict(
        _delete_=True,
        type='mmvsa.ViTAEv2',
        arch={{_base_.nano_arch}},
        out_indices=(0, 1, 2, 3),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/vitaev2-vsa-nano_digit-scenes/epoch_10.pth',
            prefix='backbone.',
        ),
    ),
    decode_head=dict(
        in_channels=[32, 64, 96, 128],
        channels=width,
        num_classes=11,
        dropout_ratio=0.0,
        norm_cfg=norm_cfg,
        # Nine pixels of ten are background.
        loss_decode=dict(avg_non_ignore=False, class_weight=[0.4] + [1.0] * 10),
    ),
    auxiliary_head=None,
)

max_epochs = 12
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=100),
    dict(type='CosineAnnealingLR', eta_min=1e-5, end=max_epochs, convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=3)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(base_batch_size=8)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=25),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook', interval=3, max_keep_ckpts=1, save_best='mIoU', rule='greater'
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(_scope_='mmseg', type='SegVisualizationHook'),
)
log_processor = dict(by_epoch=True)
randomness = dict(seed=0)
