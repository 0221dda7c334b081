_base_ = ['./upernet_vitaev2.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmvsa.SwinVSA',
        arch='t',
        attention=dict(padding='center'),
        out_indices=(0, 1, 2, 3),
        drop_path_rate=0.2,
    ),
    decode_head=dict(in_channels=[96, 192, 384, 768]),
    auxiliary_head=dict(in_channels=384),
)
