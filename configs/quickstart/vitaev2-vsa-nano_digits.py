# A small ViTAEv2-VSA on scikit-learn's digits: minutes on a CPU, no download.
# Your own images: --cfg-options data_root=FOLDER (one folder per class, or train/ and val/).
_base_ = ['../_base_/schedules/adamw_quickstart.py', '../_base_/default_runtime.py']

image_size = 32

# `_scope_`: a config that inherits this one as `mmvsa::...` gives it the scope mmvsa, which has no
# classifier or transforms.
model = dict(
    _scope_='mmpretrain',
    type='ImageClassifier',
    backbone=dict(
        type='mmvsa.ViTAEv2',
        arch=dict(
            embed_dims=(8, 12, 24),
            token_dims=(24, 48, 96),
            depths=(1, 1, 1),
            num_heads=(2, 4, 4),
            rc_heads=(2, 2, 4),
            attention=('vsa',) * 3,
            downsample=(2, 2, 2),
            kernel_sizes=(3, 3, 3),
            nc_groups=(1, 8, 16),
            rc_groups=(1, 4, 12),
            window_size=4,
            mlp_ratio=2.0,
        ),
        out_indices=(2,),
        drop_path_rate=0.05,
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.0),
        num_classes=10,
        in_channels=96,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        topk=(1,),
    ),
)

data_preprocessor = dict(num_classes=10, mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True)

train_pipeline = [
    dict(type='mmvsa.LoadImage'),
    dict(type='Resize', scale=(image_size, image_size), interpolation='bicubic'),
    # Digits stay what they are under small moves only.
    dict(
        type='RandomChoice',
        transforms=[
            [dict(type='Rotate', angle=12.0, prob=1.0, random_negative_prob=0.5)],
            [dict(type='Translate', magnitude=0.1, prob=1.0, direction='horizontal')],
            [dict(type='Translate', magnitude=0.1, prob=1.0, direction='vertical')],
            [dict(type='Shear', magnitude=0.15, prob=1.0)],
        ],
    ),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='mmvsa.LoadImage'),
    dict(type='Resize', scale=(image_size, image_size), interpolation='bicubic'),
    dict(type='PackInputs'),
]

train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    dataset=dict(_scope_='mmpretrain', type='mmvsa.Digits', split='train', pipeline=train_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=True),
)
val_dataloader = dict(
    batch_size=90,
    num_workers=0,
    dataset=dict(_scope_='mmpretrain', type='mmvsa.Digits', split='test', pipeline=test_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
test_dataloader = val_dataloader
val_evaluator = dict(_scope_='mmpretrain', type='Accuracy', topk=(1,))
test_evaluator = val_evaluator

max_epochs = 14
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, end=2, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-5,
        begin=2,
        T_max=max_epochs - 2,
        end=max_epochs,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
val_cfg = {}
test_cfg = {}
auto_scale_lr = dict(base_batch_size=64)

default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(max_keep_ckpts=2, save_best='accuracy/top1', rule='greater'),
)
custom_hooks = [
    dict(type='mmvsa.TrainingCurveHook'),
    dict(type='mmvsa.WindowVisualizationHook'),
    dict(type='mmvsa.NextStepsHook'),
]
randomness = dict(seed=0)
