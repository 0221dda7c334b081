_base_ = ['./oriented-rcnn-le90_rvsa-vit-b_fpn_1x_dior.py']

model = dict(
    backbone=dict(
        arch='vitae-b',
        drop_path_rate=0.1,
        init_cfg=dict(checkpoint='checkpoints/mae-vitae-b_millionaid.pth'),
    )
)
