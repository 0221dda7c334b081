_base_ = ['./cascade-mask-rcnn_vitaev2-s_fpn_giou-4conv1f_ms-3x_coco.py']

model = dict(
    backbone=dict(arch='s-window', init_cfg=dict(checkpoint='checkpoints/vitaev2-s-window.pth'))
)
