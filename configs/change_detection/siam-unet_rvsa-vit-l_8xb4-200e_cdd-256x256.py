_base_ = ['./siam-unet_rvsa-vit-b_8xb4-200e_cdd-256x256.py']

model = dict(backbone=_base_.mtp_vit_l, decode_head=dict(in_channels=_base_.mtp_vit_l_channels))
