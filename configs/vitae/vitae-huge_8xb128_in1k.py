_base_ = ['./vitae-base_8xb128_in1k.py']

model = dict(backbone=dict(arch='huge'), head=dict(in_channels=1280))
