# Augmentation of mmpretrain's Swin base, which is the official one: RandAugment m9 mstd0.5
# inc1, random erasing 0.25, bicubic; tests are on a crop of 0.9.
_base_ = ['mmpretrain::_base_/datasets/imagenet_bs64_swin_224.py']

data_root = 'data/imagenet'

test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=248, edge='short', backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]

train_dataloader = dict(batch_size=128, num_workers=8)
val_dataloader = dict(batch_size=128, num_workers=8, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
