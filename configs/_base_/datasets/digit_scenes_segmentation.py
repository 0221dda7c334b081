# DigitScenes for mmseg: 2000 scenes of 256 pixels to train, written to data_root on first use.
# `_scope_`: as a base named `mmvsa::...` it would have the scope mmvsa, which has no such types.
dataset_type = 'mmvsa.DigitScenesSegmentation'
data_root = 'data/digit_scenes/'
scenes = dict(num=2000, num_val=200)

# Smaller than the scenes of 256, for speed. Predictions are scored at the full size.
image_size = (192, 192)
# The windows of _base_/models/vitaev2-vsa-nano.py divide the maps of both sizes.
crop_size = (128, 128)
# On gray photographs whatever has a color is a digit, on others that misleads: a third of the
# images loses color and takes a tint, of about 30 gray values in each channel.
tint = [
    dict(type='mmpretrain.ColorJitter', saturation=(0.0, 1.2), backend='cv2'),
    dict(
        type='mmpretrain.Lighting',
        eigval=[300.0] * 3,
        eigvec=[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        alphastd=0.1,
    ),
]
train_pipeline = [
    # Not uint8, in which a tint would wrap around.
    dict(type='LoadImageFromFile', to_float32=True),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=image_size, ratio_range=(0.65, 1.1), keep_ratio=True),
    dict(type='RandomRotate', prob=0.2, degree=15.0, pad_val=(127, 127, 127), seg_pad_val=255),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='mmpretrain.Invert', prob=0.5),
    dict(type='RandomApply', transforms=tint, prob=0.35),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=image_size, keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        _scope_='mmseg',
        type=dataset_type,
        data_root=data_root,
        split='train',
        settings=scenes,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        _scope_='mmseg',
        type=dataset_type,
        data_root=data_root,
        split='val',
        settings=scenes,
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(_scope_='mmseg', type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
