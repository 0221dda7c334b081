# WHU-CD (buildings) in patches of 256 pixels, in the folders of CDD.
_base_ = ['./siam-unet_rvsa-vit-b_8xb4-200e_cdd-256x256.py']

data_root = 'data/whu_256/'
_dataset = dict(data_root=data_root, suffix='.png')
train_dataloader = dict(dataset=_dataset)
val_dataloader = dict(dataset=_dataset)
test_dataloader = dict(dataset=_dataset)
