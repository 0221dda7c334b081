_base_ = ['./mae-vit-l_linear_1xb256-100e_ucm-55.py']

model = dict(
    backbone=dict(
        arch='vitae-l',
        init_cfg=dict(checkpoint='work_dirs/mae-vitae-l_8xb256-1600e_millionaid/epoch_1600.pth'),
    )
)
