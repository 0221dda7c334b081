# MTP's change detector: the absolute difference of four maps of one size, decoded by a U-Net, which
# enlarges the maps of earlier blocks itself.
_base_ = ['./mtp.py']

norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='mmvsa.SiamEncoderDecoder',
    data_preprocessor=dict(
        type='mmvsa.PairDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size_divisor=32,
        test_cfg=dict(size_divisor=32),
    ),
    backbone=dict(type='mmvsa.RVSA', img_size=256, **_base_.mtp_vit_b),
    neck=dict(type='mmvsa.FeatureFusionNeck', policy='abs_diff'),
    decode_head=dict(type='mmvsa.UNetHead', in_channels=[768] * 4, norm_cfg=norm_cfg),
)
