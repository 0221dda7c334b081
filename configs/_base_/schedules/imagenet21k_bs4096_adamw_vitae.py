# No recipe of the official pretraining on ImageNet-22K is published. This is Swin's (arXiv
# 2103.14030 and its code): AdamW, 4096 images per iteration, 90 epochs, 5 of them warm-up.
_base_ = ['./imagenet_bs1024_adamw_vitae.py']

optim_wrapper = dict(optimizer=dict(lr=1.25e-4 * 4096 / 512), clip_grad=dict(max_norm=5.0))

param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=True, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=True, begin=5, end=90),
]

train_cfg = dict(by_epoch=True, max_epochs=90)
val_cfg = None
test_cfg = None

custom_hooks = []

auto_scale_lr = dict(base_batch_size=4096)
