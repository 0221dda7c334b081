_base_ = ['../vitaev2/vitaev2-s_8xb128_in1k.py']

model = dict(backbone=dict(arch='s-vsa'))
