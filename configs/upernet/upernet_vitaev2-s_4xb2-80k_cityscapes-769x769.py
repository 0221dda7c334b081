_base_ = [
    '../_base_/seg_runtime.py',
    '../_base_/models/upernet_vitaev2.py',
    'mmseg::_base_/datasets/cityscapes_769x769.py',
    '../_base_/schedules/seg_adamw_80k.py',
]

model = dict(
    data_preprocessor=dict(size=(769, 769)),
    backbone=dict(
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/vitaev2-s.pth', prefix='backbone.')
    ),
    test_cfg=dict(mode='slide', crop_size=(769, 769), stride=(513, 513)),
)
