_base_ = [
    '../_base_/models/cascade-mask-rcnn_swin-vsa_fpn.py',
    '../_base_/datasets/coco_instance_ms-crop.py',
    '../_base_/schedules/det_adamw_3x.py',
    '../_base_/det_runtime.py',
]

model = dict(
    backbone=dict(
        type='mmvsa.QFormer',
        arch='t',
        drop_path_rate=0.3,
        attention=dict(transform=dict(coords_lambda=1e-5)),
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/qformer-t.pth', prefix='backbone.'
        ),
    ),
)
