_base_ = ['../vitaev2/vitaev2-b_32xb128_in21k.py']

model = dict(backbone=dict(arch='48m-vsa'), head=dict(in_channels=768))
