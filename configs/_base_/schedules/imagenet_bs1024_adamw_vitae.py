# The official recipe (main.py of ViTAE-VSA and the scripts next to it): AdamW, 1024 images per
# iteration.
optim_wrapper = dict(
    optimizer=dict(
        type='AdamW',
        lr=5e-4 * 1024 / 512,
        weight_decay=0.05,
        eps=1e-8,
        betas=(0.9, 0.999),
    ),
    # timm's rule: no decay of biases and of parameters with one dimension (norms). Relative
    # position bias tables have two and decay.
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0),
)

# 10 epochs of warm-up, a cosine to 1e-5 until epoch 300, 10 epochs at 1e-5. (The official code
# warms up by the epoch and starts the cosine at epoch 0; its logs end at 2e-5, the code at
# 1e-5.)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=True, end=10, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=True, begin=10, end=300),
]

train_cfg = dict(by_epoch=True, max_epochs=310, val_interval=1)
val_cfg = {}
test_cfg = {}

# The weights that are evaluated: 0.99996 per 512 images, so 0.99996^2 per step; the running
# statistics of batch norms are averaged too.
custom_hooks = [
    dict(
        _scope_='mmpretrain',
        type='EMAHook',
        momentum=1 - 0.99996**2,
        update_buffers=True,
        priority='ABOVE_NORMAL',
    ),
]

auto_scale_lr = dict(base_batch_size=1024)
