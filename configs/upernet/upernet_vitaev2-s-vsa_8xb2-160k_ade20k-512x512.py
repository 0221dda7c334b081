_base_ = ['./upernet_vitaev2-s_8xb2-160k_ade20k-512x512.py']

model = dict(
    backbone=dict(
        arch='s-vsa',
        attention={{_base_.dense_vsa}},
        init_cfg=dict(checkpoint='checkpoints/vitaev2-s-vsa.pth'),
    )
)
