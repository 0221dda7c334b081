data_root = 'data/P3M-10k'
train_pipeline = [
    dict(type='LoadMatte'),
    dict(type='GenerateTrimap', kernel_size=(15, 30)),
    dict(type='RandomTransitionCrop', sizes=(512, 768, 1024), out=512),
    dict(type='RandomMatteFlip'),
    dict(type='PackMatte'),
]
test_pipeline = [
    dict(type='LoadMatte'),
    dict(type='GenerateTrimap', kernel_size=25),
    dict(type='PackMatte'),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=8,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmvsa.P3M10K',
        data_root=data_root,
        split='train',
        foregrounds=True,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmvsa.P3M10K', data_root=data_root, split='P3M-500-P', pipeline=test_pipeline
    ),
)
test_dataloader = val_dataloader
