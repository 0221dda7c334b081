# EuroSAT in class folders, `train/` and `val/`.
_base_ = ['mmpretrain::_base_/datasets/imagenet_bs64_swin_224.py']

data_root = 'data/eurosat'
data_preprocessor = dict(num_classes=10)

_dataset = dict(_delete_=True, _scope_='mmpretrain', type='mmvsa.FolderSplit', data_root=data_root)
train_dataloader = dict(
    batch_size=8,
    dataset=dict(split='train', pipeline={{_base_.train_pipeline}}, **_dataset),
)
val_dataloader = dict(
    batch_size=8,
    dataset=dict(split='test', pipeline={{_base_.test_pipeline}}, **_dataset),
)
test_dataloader = val_dataloader
