_base_ = ['./cascade-mask-rcnn_vitaev2_fpn.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmvsa.SwinVSA',
        arch='t',
        attention=dict(padding='center'),
        out_indices=(0, 1, 2, 3),
        drop_path_rate=0.2,
    ),
    neck=dict(in_channels=[96, 192, 384, 768]),
)
