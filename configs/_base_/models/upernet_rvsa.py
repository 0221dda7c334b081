# A pyramid of strides 4, 8, 16 and 32 from blocks 4, 6, 8 and 12, without a final norm.
_base_ = ['./upernet_vitaev2.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmvsa.RVSA',
        arch='vit-b',
        img_size=512,
        out_indices=(3, 5, 7, 11),
        out_type='pyramid',
        final_norm=False,
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/mae-vit-b_millionaid.pth'),
    ),
    decode_head=dict(in_channels=[768, 768, 768, 768]),
    auxiliary_head=dict(in_channels=768),
)
