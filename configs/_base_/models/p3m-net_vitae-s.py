model = dict(
    type='mmvsa.Mattor',
    data_preprocessor=dict(
        type='mmvsa.MattingDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        type='mmvsa.PoolingViTAE',
        arch='s',
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/p3m_vitae-s_in1k.pth'),
    ),
    decode_head=dict(type='mmvsa.P3MHead', in_channels=[64, 128, 256, 512]),
    test_cfg=dict(mode='hybrid'),
)
