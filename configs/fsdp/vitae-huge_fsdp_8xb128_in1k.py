# No recipe for this size is published. Fine-tuning as mmpretrain does it with MAE's ViT-H
# (arXiv 2111.06377): 50 epochs of 1024 images per iteration, 0.75 of the learning rate from one
# layer to the one before. Give the pretrained weights as model.backbone.init_cfg.
_base_ = [
    '../_base_/models/vitaev2.py',
    '../_base_/datasets/imagenet_bs128_vitae_224.py',
    '../_base_/schedules/imagenet_bs1024_adamw_vitae.py',
    '../_base_/default_runtime.py',
    '../_base_/fsdp_runtime.py',
]

model = dict(
    backbone=dict(
        _delete_=True, type='mmvsa.ViTAE', arch='huge', out_type='avg_featmap', drop_path_rate=0.3
    ),
    neck=None,  # the backbone takes the mean, then its norm
    head=dict(in_channels=1280),
)

optim_wrapper = dict(
    optimizer=dict(lr=4e-3),
    constructor='LearningRateDecayOptimWrapperConstructor',
    paramwise_cfg=dict(
        layer_decay_rate=0.75,
        custom_keys={'.cls_token': dict(decay_mult=0.0), '.pos_embed': dict(decay_mult=0.0)},
    ),
)

param_scheduler = [
    dict(type='LinearLR', start_factor=1e-4, by_epoch=True, end=5, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min_ratio=2.5e-4,
        by_epoch=True,
        begin=5,
        end=50,
        convert_to_iter_based=True,
    ),
]

train_cfg = dict(max_epochs=50)

# MMEngine's EMAHook averages whole models, not shards.
custom_hooks = []
