# PhotoPairs (mmvsa/datasets/photo_pairs.py): 500 pairs of 128 pixels to train on, written on first
# use.
_base_ = ['./cdd_256.py']

data_root = 'data/photo_pairs/'
_dataset = dict(type='mmvsa.PhotoPairs', data_root=data_root, suffix='.png')
train_dataloader = dict(num_workers=1, dataset=_dataset)
val_dataloader = dict(num_workers=1, dataset=_dataset)
test_dataloader = dict(num_workers=1, dataset=_dataset)
