# BIT on two stages of a small ViTAEv2-VSA: minutes on one core, no download.
_base_ = [
    '../_base_/models/bit_vitaev2.py',
    '../_base_/datasets/photo_pairs.py',
    '../_base_/cd_runtime.py',
]

model = dict(
    data_preprocessor=dict(mean=[127.5] * 3, std=[63.75] * 3, test_cfg=dict(size_divisor=16)),
    backbone=dict(
        _delete_=True,
        type='mmvsa.ViTAEv2',
        # The windows divide the maps of 64 and of 128 pixels. Fixed ones where the map is largest.
        arch=dict(
            embed_dims=(8, 16),
            token_dims=(24, 48),
            depths=(1, 2),
            num_heads=(1, 2),
            rc_heads=(1, 2),
            attention=('window', 'vsa'),
            dilations=((1, 2), (1, 2)),
            nc_groups=(1, 1),
            rc_groups=(1, 1),
            window_size=4,
            mlp_ratio=1.0,
        ),
        out_indices=(1,),
    ),
    # The classifier sees half of the size; mmseg enlarges its scores.
    decode_head=dict(in_channels=48, decoder_depth=2, num_heads=4, head_dims=8, upscale=1),
)
train_pipeline = [
    dict(type='mmvsa.LoadImagePair'),
    dict(type='mmvsa.LoadChangeMap'),
    # At least a tenth of a crop is changed, where one of ten crops of a pair is so.
    dict(type='RandomCrop', crop_size=(64, 64), cat_max_ratio=0.9),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='mmvsa.RandomRotate90', prob=0.75),
    dict(type='mmvsa.RandomSwapImages', prob=0.5),
    dict(type='mmvsa.PackPairInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0),
    clip_grad=dict(max_norm=5.0),
)
max_epochs = 14
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=50),
    dict(type='CosineAnnealingLR', eta_min=1e-5, end=max_epochs, convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=7)
auto_scale_lr = dict(base_batch_size=8)
randomness = dict(seed=0)
