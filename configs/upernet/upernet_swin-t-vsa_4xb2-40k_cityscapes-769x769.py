_base_ = [
    '../_base_/seg_runtime.py',
    '../_base_/models/upernet_swin-vsa.py',
    'mmseg::_base_/datasets/cityscapes_769x769.py',
    '../_base_/schedules/seg_adamw_40k.py',
]

model = dict(
    data_preprocessor=dict(size=(769, 769)),
    backbone=dict(
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/swin-t-vsa.pth', prefix='backbone.'
        )
    ),
    test_cfg=dict(mode='slide', crop_size=(769, 769), stride=(513, 513)),
)
