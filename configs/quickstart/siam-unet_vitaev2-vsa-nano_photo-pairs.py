# The difference of three maps of a small ViTAEv2-VSA, decoded by MTP's U-Net.
_base_ = ['./bit_vitaev2-vsa-nano_photo-pairs.py']

model = dict(
    backbone=dict(
        arch=dict(
            embed_dims=(8, 16, 24),
            token_dims=(24, 48, 72),
            depths=(1, 1, 1),
            num_heads=(1, 2, 3),
            rc_heads=(1, 2, 3),
            attention=('window', 'vsa', 'vsa'),
            dilations=((1, 2), (1, 2), (1, 2)),
            nc_groups=(1, 1, 1),
            rc_groups=(1, 1, 1),
        ),
        out_indices=(0, 1, 2),
    ),
    neck=dict(policy='abs_diff'),
    decode_head=dict(
        _delete_=True,
        type='mmvsa.UNetHead',
        in_channels=(24, 48, 72),
        channels=16,
        decoder_channels=(48, 32, 16),
        dropout_ratio=0.0,
    ),
)
optim_wrapper = dict(optimizer=dict(lr=3e-3))
