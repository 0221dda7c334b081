_base_ = [
    '../_base_/seg_runtime.py',
    '../_base_/models/upernet_vitaev2.py',
    'mmseg::_base_/datasets/ade20k.py',
    '../_base_/schedules/seg_adamw_160k.py',
]

model = dict(
    data_preprocessor=dict(size=(512, 512), test_cfg=dict(size_divisor=32)),
    backbone=dict(
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/vitaev2-s.pth', prefix='backbone.')
    ),
    decode_head=dict(num_classes=150),
    auxiliary_head=dict(num_classes=150),
)
train_dataloader = dict(batch_size=2)
