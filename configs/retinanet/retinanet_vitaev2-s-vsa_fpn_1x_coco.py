_base_ = [
    '../_base_/models/retinanet_vitaev2_fpn.py',
    'mmdet::_base_/datasets/coco_detection.py',
    '../_base_/schedules/det_adamw_1x.py',
    '../_base_/det_runtime.py',
]

model = dict(
    backbone=dict(
        arch='s-vsa',
        attention={{_base_.dense_vsa}},
        drop_path_rate=0.15,
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/vitaev2-s-vsa.pth', prefix='backbone.'
        ),
    ),
)
