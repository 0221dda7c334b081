_base_ = ['./vitae-small_8xb128_in1k.py']

model = dict(
    backbone=dict(arch='base', out_type='avg_featmap'), neck=None, head=dict(in_channels=768)
)
