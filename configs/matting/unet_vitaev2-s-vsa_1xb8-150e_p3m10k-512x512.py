# Two U-shaped decoders on a backbone that was not made for matting; the recipe is P3M-Net's, for
# which nothing was tuned.
_base_ = './p3m-net_vitae-s_1xb8-150e_p3m10k-512x512.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmvsa.ViTAEv2',
        arch='s-vsa',
        out_indices=(0, 1, 2, 3),
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/vitaev2-s-vsa.pth'),
    ),
    decode_head=dict(type='mmvsa.UNetMattingHead', in_channels=[64, 128, 256, 512]),
)
