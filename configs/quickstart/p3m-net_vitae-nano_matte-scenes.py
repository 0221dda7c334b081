# P3M-Net with a small encoder on MatteScenes: minutes on one core, no download.
_base_ = [
    '../_base_/datasets/matte_scenes.py',
    '../_base_/schedules/adamw_quickstart.py',
    '../_base_/matting_runtime.py',
]

dims = [16, 32, 64, 96]
model = dict(
    type='mmvsa.Mattor',
    data_preprocessor=dict(
        type='mmvsa.MattingDataPreprocessor',
        mean=[127.5] * 3,
        std=[63.75] * 3,
        bgr_to_rgb=True,
    ),
    backbone=dict(
        type='mmvsa.PoolingViTAE',
        arch=dict(
            token_dims=dims,
            depths=[1, 1, 2, 1],
            num_heads=[1, 1, 2, 3],
            groups=[1, 8, 16, 24],
            mlp_ratio=2.0,
            attention=['PlainPerformer', 'full', 'full', 'full'],
        ),
    ),
    decode_head=dict(type='mmvsa.P3MHead', in_channels=dims),
    test_cfg=dict(mode='whole'),
)

max_epochs = 2
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=50),
    dict(type='CosineAnnealingLR', eta_min=1e-5, end=max_epochs, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
auto_scale_lr = dict(base_batch_size=4)
default_hooks = dict(logger=dict(interval=25), checkpoint=dict(max_keep_ckpts=1))
