_base_ = ['./oriented-rcnn-le90_rvsa-vit-b_fpn_1x_dota-ms.py']

model = dict(
    backbone=dict(
        arch='vitae-b', init_cfg=dict(checkpoint='checkpoints/mae-vitae-b_millionaid.pth')
    )
)
