# The backbone takes the mean of the tokens and normalizes it.
_base_ = ['./vitaev2.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmvsa.RVSA',
        arch='vit-b',
        out_type='avg_featmap',
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/mae-vit-b_millionaid.pth'),
    ),
    neck=None,
    head=dict(in_channels=768),
)
