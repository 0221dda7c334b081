_base_ = [
    '../_base_/models/mask-rcnn_vitaev2_fpn.py',
    '../_base_/datasets/coco_instance_ms-crop.py',
    '../_base_/schedules/det_adamw_3x.py',
    '../_base_/det_runtime.py',
]

model = dict(
    backbone=dict(
        arch='48m-vsa',
        attention={{_base_.dense_vsa}},
        drop_path_rate=0.35,
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/vitaev2-48m-vsa.pth', prefix='backbone.'
        ),
    ),
    neck=dict(in_channels=[96, 192, 384, 768]),
)
