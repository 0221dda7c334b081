_base_ = ['./rvsa-vit-b_mtp-pre_8xb8-200e_nwpu-28.py']

model = dict(backbone=_base_.mtp_vit_l, head=dict(in_channels=1024))
