# CDD (SVCD): pairs of 256x256 in {train,val,test}/{A,B,OUT}, JPEG.
# `_scope_`: as a base named `mmvsa::...` it would have the scope mmvsa, which has no such types.
train_pipeline = [
    dict(type='mmvsa.LoadImagePair'),
    dict(type='mmvsa.LoadChangeMap'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='mmvsa.RandomRotate90', prob=0.75),
    dict(type='mmvsa.PackPairInputs'),
]
test_pipeline = [
    dict(type='mmvsa.LoadImagePair'),
    dict(type='mmvsa.LoadChangeMap'),
    dict(type='mmvsa.PackPairInputs'),
]
data_root = 'data/cdd/'
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        _scope_='mmseg',
        type='mmvsa.ChangeDetectionDataset',
        data_root=data_root,
        split='train',
        suffix='.jpg',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        _scope_='mmseg',
        type='mmvsa.ChangeDetectionDataset',
        data_root=data_root,
        split='val',
        suffix='.jpg',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        _scope_='mmseg',
        type='mmvsa.ChangeDetectionDataset',
        data_root=data_root,
        split='test',
        suffix='.jpg',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
val_evaluator = dict(type='mmvsa.ChangeMetric', batch_size=8)
test_evaluator = val_evaluator
