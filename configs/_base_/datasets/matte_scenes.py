data_root = 'data/matte_scenes'
scenes = dict(num=1000, num_val=60, size=128)
train_pipeline = [
    dict(type='LoadMatte'),
    # Wide for images of 128 pixels: the glance decoder then sees hair as one region, and does not
    # cut off the thin ends of strands.
    dict(type='GenerateTrimap', kernel_size=(8, 16)),
    dict(type='RandomMatteFlip'),
    dict(type='PackMatte'),
]
test_pipeline = [
    dict(type='LoadMatte'),
    dict(type='GenerateTrimap', kernel_size=12),
    dict(type='PackMatte'),
]

train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmvsa.MatteScenes',
        data_root=data_root,
        split='train',
        settings=scenes,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmvsa.MatteScenes',
        data_root=data_root,
        split='val',
        settings=scenes,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
