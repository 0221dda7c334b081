_base_ = ['./mae-vit-b_linear_1xb256-100e_ucm-55.py']

model = dict(
    backbone=dict(
        arch='vit-l',
        frozen_stages=24,
        init_cfg=dict(checkpoint='checkpoints/mae-vit-l_millionaid.pth'),
    ),
    neck=dict(input_features=1024),
    head=dict(in_channels=1024),
)
