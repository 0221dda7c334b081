_base_ = ['./imagenet_bs128_vitae_224.py']

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='RandomChoice',
        transforms=[
            [
                dict(
                    type='RandomResizedCrop',
                    scale=384,
                    backend='pillow',
                    interpolation=interpolation,
                )
            ]
            for interpolation in ('bilinear', 'bicubic')
        ],
    ),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    {{_base_.random_operation}},
    {{_base_.random_operation}},
    {{_base_.random_erasing}},
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=426, edge='short', backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=384),
    dict(type='PackInputs'),
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
