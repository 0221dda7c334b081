_base_ = ['./retinanet_rvsa-vit-b_mtp-pre_fpn_1x_xview.py']

model = dict(backbone=_base_.mtp_detector_vit_l, neck=dict(in_channels=_base_.mtp_vit_l_channels))
