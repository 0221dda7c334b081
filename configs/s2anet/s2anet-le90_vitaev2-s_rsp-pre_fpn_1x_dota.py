# RSP's recipe: windows of 8, padded at the end (right and bottom), no drop path. The first stage
# has no level of its own, so it is not an output.
_base_ = ['mmrotate::s2anet/s2anet-le90_r50_fpn_1x_dota.py']

custom_imports = dict(imports=['mmvsa'], allow_failed_imports=False)
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmvsa.ViTAEv2',
        arch='s',
        out_indices=(1, 2, 3),
        attention=dict(padding='end', window_size=8),
        frozen_stages=1,
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/rsp-vitaev2-s-e100.pth'),
    ),
    neck=dict(in_channels=[128, 256, 512], start_level=0),
)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(custom_keys={'norm': dict(decay_mult=0.0)}),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', begin=0, end=12, by_epoch=True, milestones=[8, 11], gamma=0.1),
]
auto_scale_lr = dict(base_batch_size=2)
