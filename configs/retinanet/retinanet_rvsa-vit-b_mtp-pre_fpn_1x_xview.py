_base_ = [
    'mmdet::_base_/models/retinanet_r50_fpn.py',
    '../_base_/models/mtp.py',
    '../_base_/datasets/xview_416.py',
    '../_base_/schedules/mtp_adamw-layerdecay_1x.py',
    '../_base_/det_runtime.py',
]

model = dict(
    backbone=dict(_delete_=True, type='mmvsa.RVSA', img_size=416, **_base_.mtp_detector_vit_b),
    neck=dict(in_channels=[768] * 4),
    bbox_head=dict(num_classes=60),
)
# The neck starts at stride 8, so that the pyramid's level of stride 4 gets no gradient.
find_unused_parameters = True
