# Augmentation of the official main.py: RandAugment m9 mstd0.5 inc1 and random erasing 0.25 as in
# mmpretrain's Swin base, but each crop and each of the two operations of RandAugment is bilinear or
# bicubic at random, timm's default. Tests are bicubic, on a crop of 0.9.
_base_ = ['mmpretrain::_base_/datasets/imagenet_bs64_swin_224.py']

data_root = 'data/imagenet'

bgr_mean = [103.53, 116.28, 123.675]
bgr_std = [57.375, 57.12, 58.395]
interpolations = ('bilinear', 'bicubic')
random_operation = dict(
    type='RandomChoice',
    transforms=[
        [
            dict(
                type='RandAugment',
                policies='timm_increasing',
                num_policies=1,
                total_level=10,
                magnitude_level=9,
                magnitude_std=0.5,
                hparams=dict(pad_val=[round(x) for x in bgr_mean], interpolation=interpolation),
            )
        ]
        for interpolation in interpolations
    ],
)
random_erasing = dict(
    type='RandomErasing',
    erase_prob=0.25,
    mode='rand',
    min_area_ratio=0.02,
    max_area_ratio=1 / 3,
    fill_color=bgr_mean,
    fill_std=bgr_std,
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='RandomChoice',
        transforms=[
            [
                dict(
                    type='RandomResizedCrop',
                    scale=224,
                    backend='pillow',
                    interpolation=interpolation,
                )
            ]
            for interpolation in interpolations
        ],
    ),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    random_operation,
    random_operation,
    random_erasing,
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=248, edge='short', backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]

train_dataloader = dict(batch_size=128, num_workers=8, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=128, num_workers=8, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
