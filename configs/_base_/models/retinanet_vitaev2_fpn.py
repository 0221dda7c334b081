# The first stage has no level of its own, so it is not an output: no unused parameters.
_base_ = ['mmdet::_base_/models/retinanet_r50_fpn.py', './vitaev2-vsa_dense.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmvsa.ViTAEv2',
        arch='s',
        out_indices=(1, 2, 3),
        drop_path_rate=0.1,
        drop_path_schedule='official',
    ),
    neck=dict(in_channels=[128, 256, 512], start_level=0),
)
