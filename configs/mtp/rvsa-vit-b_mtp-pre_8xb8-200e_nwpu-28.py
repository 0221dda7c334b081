_base_ = [
    '../_base_/models/rvsa_mtp.py',
    '../_base_/datasets/nwpu-28_bs64_224.py',
    '../_base_/schedules/mtp_adamw-layerdecay_150e.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=45))
train_dataloader = dict(batch_size=8, drop_last=False)

param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], end=200)]
train_cfg = dict(max_epochs=200, val_interval=40)
val_cfg = {}
test_cfg = {}
default_hooks = dict(checkpoint=dict(interval=40))
auto_scale_lr = dict(base_batch_size=64)
