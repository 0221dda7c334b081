_base_ = ['./upernet_qformer-t_8xb2-160k_ade20k-512x512.py']

model = dict(
    backbone=dict(
        arch='s', drop_path_rate=0.3, init_cfg=dict(checkpoint='checkpoints/qformer-s.pth')
    )
)
