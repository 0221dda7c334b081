_base_ = './mask-rcnn_qformer-t_fpn_ms-3x_coco.py'

model = dict(
    backbone=dict(
        arch='s',
        drop_path_rate=0.35,
        init_cfg=dict(checkpoint='checkpoints/qformer-s.pth'),
    ),
)
