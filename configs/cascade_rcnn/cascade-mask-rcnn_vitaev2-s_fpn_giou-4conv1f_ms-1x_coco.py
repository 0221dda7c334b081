_base_ = [
    '../_base_/models/cascade-mask-rcnn_vitaev2_fpn.py',
    '../_base_/datasets/coco_instance_ms-crop.py',
    '../_base_/schedules/det_adamw_1x.py',
    '../_base_/det_runtime.py',
]

model = dict(
    backbone=dict(
        arch='s',
        drop_path_rate=0.1,
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/vitaev2-s.pth', prefix='backbone.'
        ),
    ),
)
optim_wrapper = dict(optimizer=dict(weight_decay=0.045))
