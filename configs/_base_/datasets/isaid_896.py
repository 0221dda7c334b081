# iSAID in patches of 896 pixels, which are neither enlarged nor shrunk to train; smaller images are
# enlarged. `--tta` averages over the mirror image, as the official test does.
_base_ = ['mmseg::_base_/datasets/isaid.py']

_resize = dict(type='Resize', scale=(896, 896), keep_ratio=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    _resize,
    dict(type='RandomCrop', crop_size=(896, 896)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            [_resize],
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='LoadAnnotations')],
            [dict(type='PackSegInputs')],
        ],
    ),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
