# AID, with lists as in nwpu-28_bs64_224.py.
_base_ = ['./nwpu-28_bs64_224.py']

data_root = 'data/aid'
data_preprocessor = dict(num_classes=30)

train_dataloader = dict(dataset=dict(data_root=data_root, ann_file='train_labels_55_0.txt'))
val_dataloader = dict(dataset=dict(data_root=data_root, ann_file='valid_labels_55_0.txt'))
test_dataloader = val_dataloader
