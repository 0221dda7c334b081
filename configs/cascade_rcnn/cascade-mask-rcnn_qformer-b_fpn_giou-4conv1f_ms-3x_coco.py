_base_ = [
    '../_base_/models/cascade-mask-rcnn_swin-vsa_fpn.py',
    '../_base_/datasets/coco_instance_ms-crop.py',
    '../_base_/schedules/det_adamw_3x.py',
    '../_base_/det_runtime.py',
]

model = dict(
    backbone=dict(
        type='mmvsa.QFormer',
        arch='b',
        drop_path_rate=0.4,
        window_transform=dict(coords_lambda=1e-5),
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/qformer-b.pth', prefix='backbone.'
        ),
    ),
    neck=dict(in_channels=[128, 256, 512, 1024]),
)
