_base_ = './cascade-mask-rcnn_qformer-t_fpn_giou-4conv1f_ms-3x_coco.py'

model = dict(
    backbone=dict(
        arch='s',
        drop_path_rate=0.32,
        init_cfg=dict(checkpoint='checkpoints/qformer-s.pth'),
    ),
)
