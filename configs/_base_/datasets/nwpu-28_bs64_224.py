# NWPU-RESISC45. The augmentation is that of mmpretrain's Swin base, as in the official code. The
# lists have a path below `all_img/`, the name of its class and its index on each line.
_base_ = ['mmpretrain::_base_/datasets/imagenet_bs64_swin_224.py']

data_root = 'data/nwpu_resisc45'
data_preprocessor = dict(num_classes=45)

_dataset = dict(
    _scope_='mmpretrain',
    type='mmvsa.SceneList',
    data_root=data_root,
    data_prefix='all_img',
    num_classes=45,
)
train_dataloader = dict(
    drop_last=True,
    dataset=dict(
        _delete_=True,
        ann_file='train_labels_28_0.txt',
        pipeline={{_base_.train_pipeline}},
        **_dataset,
    ),
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        ann_file='valid_labels_28_0.txt',
        pipeline={{_base_.test_pipeline}},
        **_dataset,
    ),
)
test_dataloader = val_dataloader
