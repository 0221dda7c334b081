# UC Merced, with lists as in nwpu-28_bs64_224.py.
_base_ = ['./nwpu-28_bs64_224.py']

data_root = 'data/ucm'
data_preprocessor = dict(num_classes=21)

_dataset = dict(data_root=data_root, num_classes=21)
train_dataloader = dict(dataset=dict(ann_file='train_labels_55_0.txt', **_dataset))
val_dataloader = dict(dataset=dict(ann_file='valid_labels_55_0.txt', **_dataset))
test_dataloader = val_dataloader
