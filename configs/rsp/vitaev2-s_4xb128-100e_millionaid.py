# Pretraining, from scratch: 512 images a step, 100 epochs.
_base_ = [
    '../_base_/models/vitaev2.py',
    '../_base_/datasets/millionaid_bs128_224.py',
    '../_base_/schedules/scene_bs64_adamw_rsp.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=dict(drop_path_rate=0.0), head=dict(num_classes=51))

optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        eta_min=5e-6,
        by_epoch=True,
        begin=0,
        end=100,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(max_epochs=100)

default_hooks = dict(checkpoint=dict(max_keep_ckpts=3, save_best='auto'))
auto_scale_lr = dict(base_batch_size=512)
