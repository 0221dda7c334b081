# RSP's Semantic FPN: a pyramid of 64 channels, no drop path.
_base_ = ['mmseg::_base_/models/fpn_r50.py']

model = dict(
    pretrained=None,
    backbone=dict(
        _delete_=True,
        type='mmvsa.ViTAEv2',
        arch='s',
        out_indices=(0, 1, 2, 3),
        attention=dict(padding='end'),
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/rsp-vitaev2-s-e100.pth'),
    ),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=64),
    decode_head=dict(in_channels=[64, 64, 64, 64]),
)
