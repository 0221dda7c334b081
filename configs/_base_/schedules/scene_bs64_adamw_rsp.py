# The recipe of RSP's `Scene Recognition/main.py`, which is Swin's without warm-up: 5e-4 per 512
# images, 64 images a step on one GPU, 200 epochs.
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=5e-4 * 64 / 512, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0),
    clip_grad=dict(max_norm=5.0),
)

param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        eta_min=5e-6 * 64 / 512,
        by_epoch=True,
        begin=0,
        end=200,
        convert_to_iter_based=True,
    ),
]

# The best epoch counts as well as the last one, so that each is validated.
train_cfg = dict(by_epoch=True, max_epochs=200, val_interval=1)
val_cfg = {}
test_cfg = {}

auto_scale_lr = dict(base_batch_size=64)
