_base_ = [
    '../_base_/seg_runtime.py',
    '../_base_/models/upernet_rvsa.py',
    'mmseg::_base_/datasets/loveda.py',
    '../_base_/schedules/seg_adamw-layerdecay_160k.py',
]

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    decode_head=dict(num_classes=7),
    auxiliary_head=dict(num_classes=7),
    test_cfg=dict(mode='slide', stride=(384, 384), crop_size=(512, 512)),
)

train_dataloader = dict(batch_size=2)
# The official test: one scale and its mirror image.
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='Resize', scale=(1024, 1024), keep_ratio=True)],
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='LoadAnnotations')],
            [dict(type='PackSegInputs')],
        ],
    ),
]
