_base_ = ['./mae-vit-b_linear_1xb256-100e_ucm-55.py']

model = dict(
    backbone=dict(
        arch='vitae-l',
        frozen_stages=24,
        init_cfg=dict(checkpoint='work_dirs/mae-vitae-l_8xb256-1600e_millionaid/epoch_1600.pth'),
    ),
    neck=dict(input_features=1024),
    head=dict(in_channels=1024),
)
