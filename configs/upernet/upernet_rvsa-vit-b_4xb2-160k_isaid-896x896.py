_base_ = [
    '../_base_/seg_runtime.py',
    '../_base_/models/upernet_rvsa.py',
    'mmseg::_base_/datasets/isaid.py',
    '../_base_/schedules/seg_adamw-layerdecay_160k.py',
]

model = dict(
    data_preprocessor=dict(size=(896, 896)),
    backbone=dict(img_size=896),
    decode_head=dict(num_classes=16),
    auxiliary_head=dict(num_classes=16),
)

# Patches of 896 pixels are neither enlarged nor shrunk.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', scale=(896, 896), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(896, 896)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
