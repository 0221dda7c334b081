_base_ = [
    '../_base_/models/bit_vitaev2.py',
    '../_base_/datasets/levir_256.py',
    '../_base_/schedules/cd_adamw_200e.py',
    '../_base_/cd_runtime.py',
]

model = dict(
    backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='checkpoints/rsp-vitaev2-s-e100.pth'))
)
