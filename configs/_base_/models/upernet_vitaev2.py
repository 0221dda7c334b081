_base_ = ['mmseg::_base_/models/upernet_swin.py', './vitaev2-vsa_dense.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmvsa.ViTAEv2',
        arch='s',
        out_indices=(0, 1, 2, 3),
        drop_path_rate=0.2,
        drop_path_schedule='official',
    ),
    decode_head=dict(in_channels=[64, 128, 256, 512]),
    auxiliary_head=dict(in_channels=256),
)
