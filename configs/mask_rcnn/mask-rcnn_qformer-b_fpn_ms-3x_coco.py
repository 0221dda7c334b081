_base_ = './mask-rcnn_qformer-t_fpn_ms-3x_coco.py'

model = dict(
    backbone=dict(
        arch='b',
        drop_path_rate=0.4,
        init_cfg=dict(checkpoint='checkpoints/qformer-b.pth'),
    ),
    neck=dict(in_channels=[128, 256, 512, 1024]),
)
