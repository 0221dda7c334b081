_base_ = [
    '../_base_/models/vitae.py',
    '../_base_/datasets/imagenet_bs128_vitae_224.py',
    '../_base_/schedules/imagenet_bs1024_adamw_vitae.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=dict(arch='small'), head=dict(in_channels=384))

default_hooks = dict(checkpoint=dict(max_keep_ckpts=3, save_best='auto'))
