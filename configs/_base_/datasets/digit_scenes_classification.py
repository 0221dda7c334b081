# The digits cut out of DigitScenes for mmpretrain, and the plain digits with them: from the crops
# alone, training takes four times as long to leave chance.
# `_scope_`: as a base named `mmvsa::...` it would have the scope mmvsa, which has no such types.
dataset_type = 'mmvsa.DigitScenesClassification'
data_root = 'data/digit_scenes/'
scenes = dict(num=2000, num_val=200)
data_preprocessor = dict(num_classes=10, mean=[127.5] * 3, std=[63.75] * 3, to_rgb=True)

# Digits of 20 to 64 pixels, up to 10 off the middle of a canvas of 64: detectors and segmentors
# meet them at every size and place.
shift = dict(
    type='Translate',
    magnitude_level=10,
    magnitude_range=(0.0, 0.15),
    magnitude_std='inf',
    random_negative_prob=0.5,
    prob=1.0,
    pad_val=(127, 127, 127),
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomChoiceResize', scales=[(size, size) for size in (20, 28, 40, 52, 64)]),
    dict(type='Rotate', angle=15.0, random_negative_prob=0.5, prob=0.5, pad_val=(127, 127, 127)),
    # Pads evenly on all sides: nothing is larger than the canvas.
    dict(type='RandomCrop', crop_size=64, pad_if_needed=True, pad_val=(127, 127, 127)),
    dict(shift, direction='horizontal'),
    dict(shift, direction='vertical'),
    dict(type='Invert', prob=0.5),
    dict(type='ColorJitter', brightness=0.3, contrast=0.3, saturation=0.3),
    dict(type='PackInputs'),
]
# Dark on light as often as light on dark.
plain_pipeline = [
    dict(type='mmvsa.LoadImage'),
    dict(type='Resize', scale=(64, 64), interpolation='bicubic'),
    dict(type='Invert', prob=0.5),
    dict(type='Contrast', magnitude=0.6, random_negative_prob=0.5, prob=0.5),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(64, 64)),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        _scope_='mmpretrain',
        type='ConcatDataset',
        datasets=[
            dict(
                type=dataset_type,
                data_root=data_root,
                split='train',
                settings=scenes,
                pipeline=train_pipeline,
            ),
            dict(
                type='RepeatDataset',
                times=2,
                dataset=dict(type='mmvsa.Digits', split='train', pipeline=plain_pipeline),
            ),
        ],
    ),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        _scope_='mmpretrain',
        type=dataset_type,
        data_root=data_root,
        split='val',
        settings=scenes,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(_scope_='mmpretrain', type='Accuracy', topk=(1,))
test_evaluator = val_evaluator
