# Windows of 12 divide the maps of a 384-pixel image (96, 48, 24, 12). The official repository
# has no recipe for this size: ViTAEv2-B's.
_base_ = [
    '../_base_/models/vitaev2.py',
    '../_base_/datasets/imagenet_bs128_vitae_384.py',
    '../_base_/schedules/imagenet_bs1024_adamw_vitae.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(arch='b-vsa-ws12', drop_rate=0.1, drop_path_rate=0.4),
    head=dict(in_channels=1024),
)

optim_wrapper = dict(optimizer=dict(weight_decay=0.065), clip_grad=dict(max_norm=5.0))

default_hooks = dict(checkpoint=dict(max_keep_ckpts=3, save_best='auto'))
