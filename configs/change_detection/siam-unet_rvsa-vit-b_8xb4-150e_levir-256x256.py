_base_ = [
    '../_base_/models/siam-unet_rvsa.py',
    '../_base_/datasets/levir_256.py',
    '../_base_/schedules/mtp_adamw-layerdecay_150e.py',
    '../_base_/cd_runtime.py',
]

train_pipeline = [
    dict(type='mmvsa.LoadImagePair'),
    dict(type='mmvsa.LoadChangeMap'),
    dict(type='RandomRotFlip', rotate_prob=0.5, flip_prob=0.5, degree=(-20, 20)),
    dict(type='RandomCrop', crop_size=(256, 256), cat_max_ratio=0.75),
    dict(type='mmvsa.RandomSwapImages', prob=0.5),
    dict(
        type='mmvsa.EachImage',
        transforms=[
            dict(
                type='PhotoMetricDistortion',
                brightness_delta=10,
                contrast_range=(0.8, 1.2),
                saturation_range=(0.8, 1.2),
                hue_delta=10,
            )
        ],
    ),
    dict(type='mmvsa.PackPairInputs'),
]
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline))
default_hooks = dict(checkpoint=dict(interval=30))
