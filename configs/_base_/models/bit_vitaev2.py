# BIT on the third map of a backbone. The images stay 0 to 255, RGB, as in the official code.
model = dict(
    type='mmvsa.SiamEncoderDecoder',
    data_preprocessor=dict(
        type='mmvsa.PairDataPreprocessor', bgr_to_rgb=True, test_cfg=dict(size_divisor=32)
    ),
    backbone=dict(
        type='mmvsa.ViTAEv2',
        arch='s',
        out_indices=(2,),
        # RSP's windows are padded at the end (right and bottom).
        attention=dict(padding='end'),
        drop_path_rate=0.3,
        drop_path_schedule='official',
    ),
    neck=dict(type='mmvsa.FeatureFusionNeck', policy='concat'),
    decode_head=dict(type='mmvsa.BITHead', in_channels=256),
)
