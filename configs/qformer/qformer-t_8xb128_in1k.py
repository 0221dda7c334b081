_base_ = ['../swin_vsa/swin-t-vsa_8xb128_in1k.py']

model = dict(backbone=dict(type='mmvsa.QFormer', attention=dict(transform=dict(coords_lambda=0.1))))
