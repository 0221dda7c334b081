# SpaceNet v1, Rio: RGB images and masks of 0 and 255 (building), both PNG. Masks are read as change
# maps are: another value is an error that names the file. Training validates on images of 384
# pixels, a test predicts images of their own size by sliding windows.
crop_size = (384, 384)
_load = [dict(type='LoadImageFromFile'), dict(type='mmvsa.LoadChangeMap')]
train_pipeline = [
    *_load,
    dict(type='RandomResize', scale=crop_size, ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
val_pipeline = [
    _load[0],
    dict(type='Resize', scale=crop_size, keep_ratio=False),
    _load[1],
    dict(type='PackSegInputs'),
]
test_pipeline = [*_load, dict(type='PackSegInputs')]

data_root = 'data/spacenet_v1'
_dataset = dict(
    type='BaseSegDataset',
    data_root=data_root,
    img_suffix='.png',
    metainfo=dict(classes=('background', 'building'), palette=[[255, 255, 255], [255, 0, 0]]),
)
_val = dict(data_prefix=dict(img_path='val/images', seg_map_path='val/labels'), **_dataset)
_loader = dict(batch_size=1, num_workers=4, persistent_workers=True)
_in_order = dict(sampler=dict(type='DefaultSampler', shuffle=False), **_loader)
train_dataloader = dict(
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        data_prefix=dict(img_path='train/images', seg_map_path='train/labels'),
        pipeline=train_pipeline,
        **_dataset,
    ),
    **_loader,
)
val_dataloader = dict(dataset=dict(pipeline=val_pipeline, **_val), **_in_order)
test_dataloader = dict(dataset=dict(pipeline=test_pipeline, **_val), **_in_order)
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
