_base_ = ['./siam-unet_rvsa-vit-b_8xb4-150e_levir-256x256.py']

data_root = 'data/cdd/'
_dataset = dict(data_root=data_root, suffix='.jpg')
train_dataloader = dict(dataset=_dataset)
val_dataloader = dict(dataset=_dataset)
test_dataloader = dict(dataset=_dataset)

param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], end=200)]
train_cfg = dict(max_epochs=200, val_interval=40)
default_hooks = dict(checkpoint=dict(interval=40))
