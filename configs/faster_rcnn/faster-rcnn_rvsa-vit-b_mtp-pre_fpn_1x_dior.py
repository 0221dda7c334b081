_base_ = [
    'mmdet::_base_/models/faster-rcnn_r50_fpn.py',
    '../_base_/models/mtp.py',
    '../_base_/datasets/dior_800.py',
    '../_base_/schedules/mtp_adamw-layerdecay_1x.py',
    '../_base_/det_runtime.py',
]

model = dict(
    backbone=dict(_delete_=True, type='mmvsa.RVSA', img_size=800, **_base_.mtp_detector_vit_b),
    neck=dict(in_channels=[768] * 4),
    roi_head=dict(bbox_head=dict(num_classes=20)),
)
