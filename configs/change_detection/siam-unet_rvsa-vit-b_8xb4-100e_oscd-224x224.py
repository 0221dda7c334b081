# OSCD, the three visible bands, in patches of 96 pixels that are enlarged to 224. There is no
# validation set: training validates on test.
_base_ = ['./siam-unet_rvsa-vit-b_8xb4-150e_levir-256x256.py']

data_root = 'data/oscd_96/'
_resize = dict(type='Resize', scale=(224, 224), keep_ratio=True)
_crop = dict(type='RandomCrop', crop_size=(224, 224), cat_max_ratio=0.75)
train_pipeline = [
    *_base_.train_pipeline[:2],
    _resize,
    _base_.train_pipeline[2],
    _crop,
    *_base_.train_pipeline[4:],
]
test_pipeline = [_base_.test_pipeline[0], _resize, *_base_.test_pipeline[1:]]
train_dataloader = dict(dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root, split='test', pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(data_root=data_root, pipeline=test_pipeline))

model = dict(backbone=dict(img_size=224))

param_scheduler = [_base_.param_scheduler[0], dict(_base_.param_scheduler[1], end=100)]
train_cfg = dict(max_epochs=100, val_interval=20)
default_hooks = dict(checkpoint=dict(interval=20))
