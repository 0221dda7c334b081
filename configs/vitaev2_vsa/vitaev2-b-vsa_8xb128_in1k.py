# The official repository has no recipe for this size: ViTAEv2-B's.
_base_ = ['../vitaev2/vitaev2-b_8xb128_in1k.py']

model = dict(backbone=dict(arch='b-vsa'))
