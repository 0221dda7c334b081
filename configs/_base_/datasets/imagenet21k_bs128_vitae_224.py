# ImageNet-22K (mmpretrain's ImageNet-21k: 21841 classes, no validation set) with the augmentation
# of ImageNet-1K.
_base_ = ['./imagenet_bs128_vitae_224.py']

data_root = 'data/imagenet21k'

data_preprocessor = dict(num_classes=21841)

train_dataloader = dict(dataset=dict(type='ImageNet21k', data_root=data_root))
val_dataloader = None
val_evaluator = None
test_dataloader = None
test_evaluator = None
