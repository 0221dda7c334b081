_base_ = ['./upernet_vitaev2-s_4xb2-80k_cityscapes-512x1024.py']

model = dict(
    backbone=dict(
        arch='s-vsa',
        attention={{_base_.dense_vsa}},
        init_cfg=dict(checkpoint='checkpoints/vitaev2-s-vsa.pth'),
    )
)
