# mmpretrain's Swin base: RandAugment m9 mstd0.5 inc1, random erasing 0.25, bicubic; tests on the
# center of images resized to 256.
_base_ = ['mmpretrain::_base_/datasets/imagenet_bs64_swin_224.py']

data_root = 'data/imagenet'

train_dataloader = dict(batch_size=128, num_workers=8)
val_dataloader = dict(batch_size=128, num_workers=8)
test_dataloader = val_dataloader
