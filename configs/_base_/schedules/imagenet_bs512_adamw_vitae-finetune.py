# From ImageNet-22K to ImageNet-1K. No recipe for it is published. This is ConvNeXt's (arXiv
# 2201.03545 and its code): 512 images per iteration, 30 epochs, hardly any weight decay, a
# learning rate that falls from layer to layer. Per layer 0.9, as mmpretrain fine-tunes a Swin-B
# of as many.
_base_ = ['./imagenet_bs1024_adamw_vitae.py']

optim_wrapper = dict(
    optimizer=dict(lr=5e-5, weight_decay=1e-8),
    constructor='LearningRateDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.9),
)

param_scheduler = [
    dict(type='CosineAnnealingLR', eta_min_ratio=0.02, by_epoch=True, convert_to_iter_based=True),
]

train_cfg = dict(max_epochs=30)

custom_hooks = [
    dict(
        _scope_='mmpretrain',
        type='EMAHook',
        momentum=1e-4,
        update_buffers=True,
        priority='ABOVE_NORMAL',
    ),
]

auto_scale_lr = dict(base_batch_size=512)
