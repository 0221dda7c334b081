# mmpretrain's MAE with the encoder of RVSA. The target is the normalized image itself.
_base_ = ['mmpretrain::_base_/models/mae_vit-base-p16.py']

model = dict(
    backbone=dict(_delete_=True, type='mmvsa.MAEEncoder', arch='vit-b'),
    head=dict(norm_pix=False),
)
