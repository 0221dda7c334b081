_base_ = ['./upernet_rvsa.py', './mtp.py']

model = dict(backbone=_base_.mtp_vit_b, auxiliary_head=None)
