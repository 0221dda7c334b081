_base_ = ['mmdet::_base_/models/mask-rcnn_r50_fpn.py', './vitaev2-vsa_dense.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmvsa.ViTAEv2',
        arch='s',
        out_indices=(0, 1, 2, 3),
        drop_path_rate=0.1,
        drop_path_schedule='official',
    ),
    neck=dict(in_channels=[64, 128, 256, 512]),
)
