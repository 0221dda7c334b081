_base_ = ['./upernet_rvsa-vit-b_mtp-pre_8xb1-80k_spacenet-v1-384x384.py']

model = dict(backbone=_base_.mtp_vit_l, decode_head=dict(in_channels=_base_.mtp_vit_l_channels))
