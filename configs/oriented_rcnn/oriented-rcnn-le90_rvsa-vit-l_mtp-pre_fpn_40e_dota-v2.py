_base_ = ['./oriented-rcnn-le90_rvsa-vit-b_mtp-pre_fpn_40e_dota-v2.py']

model = dict(backbone=_base_.mtp_detector_vit_l, neck=dict(in_channels=_base_.mtp_vit_l_channels))
