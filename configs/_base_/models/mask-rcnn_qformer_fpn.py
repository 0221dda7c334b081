# Windows as in the official code: padded at the end, pushed back onto the map with 1e-5.
_base_ = ['./mask-rcnn_swin-vsa_fpn.py']

model = dict(
    backbone=dict(
        type='mmvsa.QFormer', attention=dict(padding='end', transform=dict(coords_lambda=1e-5))
    )
)
