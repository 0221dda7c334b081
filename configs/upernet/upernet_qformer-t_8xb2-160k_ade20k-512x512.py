_base_ = ['./upernet_swin-t-vsa_8xb2-160k_ade20k-512x512.py']

model = dict(
    backbone=dict(
        type='mmvsa.QFormer',
        attention=dict(padding='end'),
        init_cfg=dict(checkpoint='checkpoints/qformer-t.pth'),
    )
)
