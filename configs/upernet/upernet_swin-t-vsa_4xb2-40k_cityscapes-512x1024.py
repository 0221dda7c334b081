_base_ = [
    '../_base_/seg_runtime.py',
    '../_base_/models/upernet_swin-vsa.py',
    'mmseg::_base_/datasets/cityscapes.py',
    '../_base_/schedules/seg_adamw_40k.py',
]

model = dict(
    data_preprocessor=dict(size=(512, 1024)),
    backbone=dict(
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/swin-t-vsa.pth', prefix='backbone.'
        )
    ),
)
