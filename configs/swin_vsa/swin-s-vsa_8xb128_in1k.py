_base_ = ['./swin-t-vsa_8xb128_in1k.py']

model = dict(backbone=dict(arch='s', drop_path_rate=0.3))
