_base_ = ['./siam-unet_rvsa-vit-b_8xb4-150e_levir-256x256.py']

data_root = 'data/cdd/'
_dataset = dict(data_root=data_root, suffix='.jpg')
train_dataloader = dict(dataset=_dataset)
val_dataloader = dict(dataset=_dataset)
test_dataloader = dict(dataset=_dataset)

max_epochs = 200
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-6,
        begin=0,
        end=5,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
    dict(type='CosineAnnealingLR', T_max=max_epochs - 5, begin=5, end=max_epochs, by_epoch=True),
]
train_cfg = dict(max_epochs=max_epochs, val_interval=40)
default_hooks = dict(checkpoint=dict(interval=40))
