_base_ = ['./vitae-tiny_4xb128_in1k.py']

model = dict(backbone=dict(arch='6m'))
