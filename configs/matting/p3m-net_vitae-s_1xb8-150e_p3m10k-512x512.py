# The recipe of core/train.py of ViTAE-Transformer/P3M-Net (2024), without copy-paste training.
# The other test set: --cfg-options test_dataloader.dataset.split=P3M-500-NP.
_base_ = [
    '../_base_/models/p3m-net_vitae-s.py',
    '../_base_/datasets/p3m10k.py',
    '../_base_/matting_runtime.py',
]

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-5))
param_scheduler = [dict(type='ConstantLR', factor=1.0)]
train_cfg = dict(by_epoch=True, max_epochs=150, val_interval=1)
auto_scale_lr = dict(base_batch_size=8)
