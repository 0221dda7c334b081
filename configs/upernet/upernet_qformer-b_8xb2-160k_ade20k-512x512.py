_base_ = ['./upernet_qformer-t_8xb2-160k_ade20k-512x512.py']

model = dict(
    backbone=dict(
        arch='b', drop_path_rate=0.3, init_cfg=dict(checkpoint='checkpoints/qformer-b.pth')
    ),
    decode_head=dict(in_channels=[128, 256, 512, 1024]),
    auxiliary_head=dict(in_channels=512),
)
