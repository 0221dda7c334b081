# MillionAID without its labels, on the crops of MAE; lists as in nwpu-28_bs64_224.py.
_base_ = ['mmpretrain::_base_/datasets/imagenet_bs512_mae.py']

data_root = 'data/millionaid'

train_dataloader = dict(
    batch_size=256,
    drop_last=True,
    # Without the scope of the base, which MMEngine would pass to the function.
    collate_fn=dict(_delete_=True, type='default_collate'),
    dataset=dict(
        _delete_=True,
        _scope_='mmpretrain',
        type='mmvsa.SceneList',
        data_root=data_root,
        data_prefix='all_img',
        ann_file='train_labels.txt',
        num_classes=51,
        pipeline={{_base_.train_pipeline}},
    ),
)
