train_pipeline = [
    dict(type='LoadMatte'),
    # Kernels for images of 128 pixels.
    dict(type='GenerateTrimap', kernel_size=(4, 9)),
    dict(type='RandomMatteFlip'),
    dict(type='PackMatte'),
]
test_pipeline = [
    dict(type='LoadMatte'),
    dict(type='GenerateTrimap', kernel_size=6),
    dict(type='PackMatte'),
]

train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='MatteScenes', split='train', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='MatteScenes', split='val', pipeline=test_pipeline),
)
test_dataloader = val_dataloader
