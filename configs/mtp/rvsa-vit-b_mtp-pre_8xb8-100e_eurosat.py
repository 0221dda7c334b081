_base_ = [
    '../_base_/models/rvsa_mtp.py',
    '../_base_/datasets/eurosat_bs8_224.py',
    '../_base_/schedules/mtp_adamw-layerdecay_150e.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=10))

param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], end=100)]
train_cfg = dict(max_epochs=100, val_interval=20)
val_cfg = {}
test_cfg = {}
default_hooks = dict(checkpoint=dict(interval=20))
auto_scale_lr = dict(base_batch_size=64)
