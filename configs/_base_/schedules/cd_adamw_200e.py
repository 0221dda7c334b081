# train.py of RSP's change detection: AdamW, weight decay of every parameter, a rate that falls
# linearly by epoch, 6e-5 * (1 - epoch / 201).
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1.0, end_factor=2 / 201, begin=0, end=200, by_epoch=True)
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=200, val_interval=1)
auto_scale_lr = dict(base_batch_size=8)
randomness = dict(seed=777)
