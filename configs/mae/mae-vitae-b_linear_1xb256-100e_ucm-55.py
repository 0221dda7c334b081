_base_ = ['./mae-vit-b_linear_1xb256-100e_ucm-55.py']

model = dict(
    backbone=dict(
        arch='vitae-b', init_cfg=dict(checkpoint='checkpoints/mae-vitae-b_millionaid.pth')
    )
)
