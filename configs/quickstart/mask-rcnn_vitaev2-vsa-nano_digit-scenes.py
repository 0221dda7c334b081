# Mask R-CNN on a small ViTAEv2-VSA and DigitScenes: minutes on a CPU, no download.
# It starts from the backbone that vitaev2-vsa-nano_digit-scenes.py trains.
_base_ = [
    '../_base_/models/mask-rcnn_vitaev2_fpn.py',
    '../_base_/models/vitaev2-vsa-nano.py',
    '../_base_/datasets/digit_scenes_detection.py',
    '../_base_/schedules/adamw_quickstart.py',
    '../_base_/det_runtime.py',
]

width = 48
# From scratch, heads without norms learn slowly.
norm_cfg = dict(type='GN', num_groups=8)
strides = [4, 8, 16, 32]
model = dict(
    data_preprocessor=dict(mean=[127.5] * 3, std=[63.75] * 3),
    backbone=dict(
        _delete_=True,
        type='mmvsa.ViTAEv2',
        arch={{_base_.nano_arch}},
        out_indices=(0, 1, 2, 3),
        init_cfg={{_base_.nano_weights}},
    ),
    neck=dict(
        in_channels=[32, 64, 96, 128],
        out_channels=width,
        num_outs=4,
        norm_cfg=dict(type='BN'),
    ),
    rpn_head=dict(
        in_channels=width,
        feat_channels=width,
        # Digits are from square to slim and upright.
        anchor_generator=dict(scales=[4], ratios=[1.0, 1.6, 2.6], strides=strides),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=width, finest_scale=24),
        bbox_head=dict(
            type='ConvFCBBoxHead',
            num_shared_convs=2,
            num_shared_fcs=1,
            in_channels=width,
            conv_out_channels=width,
            fc_out_channels=256,
            num_classes=10,
            norm_cfg=norm_cfg,
        ),
        mask_roi_extractor=dict(out_channels=width, finest_scale=24),
        mask_head=dict(
            num_convs=2,
            in_channels=width,
            conv_out_channels=width,
            num_classes=10,
            norm_cfg=norm_cfg,
        ),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=200),
        rcnn=dict(sampler=dict(num=64, pos_fraction=0.5)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=300, max_per_img=100), rcnn=dict(max_per_img=40)),
)

max_epochs = 2
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=100),
    dict(type='CosineAnnealingLR', eta_min=1e-5, end=max_epochs, convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=max_epochs)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(base_batch_size=4)

default_hooks = dict(
    logger=dict(interval=25),
    checkpoint=dict(max_keep_ckpts=1, save_best='coco/bbox_mAP', rule='greater'),
)
randomness = dict(seed=0)
