_base_ = ['./rvsa-vit-b_1xb64-200e_aid-28.py']

model = dict(
    backbone=dict(
        arch='vitae-b', init_cfg=dict(checkpoint='checkpoints/mae-vitae-b_millionaid.pth')
    )
)
