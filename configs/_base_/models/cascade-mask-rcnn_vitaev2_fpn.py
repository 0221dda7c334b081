# Heads of four convolutions and one layer, with SyncBN; GIoU loss on decoded boxes.
_base_ = ['mmdet::_base_/models/cascade-mask-rcnn_r50_fpn.py', './vitaev2-vsa_dense.py']

_head = dict(
    type='ConvFCBBoxHead',
    num_shared_convs=4,
    num_shared_fcs=1,
    in_channels=256,
    conv_out_channels=256,
    fc_out_channels=1024,
    roi_feat_size=7,
    num_classes=80,
    reg_class_agnostic=False,
    reg_decoded_bbox=True,
    norm_cfg=dict(type='SyncBN', requires_grad=True),
    loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    loss_bbox=dict(type='GIoULoss', loss_weight=10.0),
)
_coder = dict(type='DeltaXYWHBBoxCoder', target_means=[0.0] * 4)
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
    roi_head=dict(
        bbox_head=[
            dict(bbox_coder=dict(target_stds=[0.1, 0.1, 0.2, 0.2], **_coder), **_head),
            dict(bbox_coder=dict(target_stds=[0.05, 0.05, 0.1, 0.1], **_coder), **_head),
            dict(bbox_coder=dict(target_stds=[0.033, 0.033, 0.067, 0.067], **_coder), **_head),
        ]
    ),
)
