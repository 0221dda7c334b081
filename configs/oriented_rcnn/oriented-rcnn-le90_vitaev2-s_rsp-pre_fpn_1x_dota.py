# RSP's recipe; windows are padded at the end (right and bottom).
_base_ = ['mmrotate::oriented_rcnn/oriented-rcnn-le90_r50_fpn_1x_dota.py']

custom_imports = dict(imports=['mmvsa'], allow_failed_imports=False)
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmvsa.ViTAEv2',
        arch='s',
        out_indices=(0, 1, 2, 3),
        attention=dict(padding='end'),
        drop_path_rate=0.3,
        drop_path_schedule='official',
        frozen_stages=1,
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/rsp-vitaev2-s-e100.pth'),
    ),
    neck=dict(in_channels=[64, 128, 256, 512]),
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
