# The quickstart of matting with two U-shaped decoders on a small ViTAEv2-VSA.
_base_ = ['./p3m-net_vitae-nano_matte-scenes.py', '../_base_/models/vitaev2-vsa-nano.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmvsa.ViTAEv2',
        arch={{_base_.nano_arch}},
        out_indices=(0, 1, 2, 3),
    ),
    decode_head=dict(_delete_=True, type='mmvsa.UNetMattingHead', in_channels=[32, 64, 96, 128]),
)
