# MTP's: warm-up over five epochs, cosine to zero, each layer 0.9 times the rate of the next, no
# decay of norms, biases and positions.
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='mmvsa.LayerDecayOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(
        layer_decay_rate=0.9,
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        flat_decay_mult=0.0,
        custom_keys={'pos_embed': dict(decay_mult=0.0)},
    ),
)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-6,
        begin=0,
        end=5,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
    dict(type='CosineAnnealingLR', begin=5, end=150, by_epoch=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=150, val_interval=30)
auto_scale_lr = dict(base_batch_size=32)
