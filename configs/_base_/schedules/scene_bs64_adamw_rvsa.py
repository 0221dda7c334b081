# The official recipe (main_finetune.py and the README of Remote-Sensing-RVSA), which is MAE's:
# 1e-3 per 256 images, 64 images per iteration on one GPU, 200 epochs, each layer 0.75 times the
# rate of the next.
optim_wrapper = dict(
    constructor='LearningRateDecayOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-3 * 64 / 256, weight_decay=0.05),
    paramwise_cfg=dict(
        layer_decay_rate=0.75,
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        flat_decay_mult=0.0,
        custom_keys={'.pos_embed': dict(decay_mult=0.0)},
    ),
)

param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=True, end=5, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-6,
        by_epoch=True,
        begin=5,
        end=200,
        convert_to_iter_based=True,
    ),
]

train_cfg = dict(by_epoch=True, max_epochs=200, val_interval=10)
val_cfg = {}
test_cfg = {}

auto_scale_lr = dict(base_batch_size=64)
