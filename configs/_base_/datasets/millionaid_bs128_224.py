# MillionAID, with lists as in nwpu-28_bs64_224.py.
_base_ = ['./nwpu-28_bs64_224.py']

data_root = 'data/millionaid'
data_preprocessor = dict(num_classes=51)

_dataset = dict(data_root=data_root, num_classes=51)
train_dataloader = dict(batch_size=128, dataset=dict(ann_file='train_labels.txt', **_dataset))
val_dataloader = dict(batch_size=128, dataset=dict(ann_file='valid_labels.txt', **_dataset))
test_dataloader = val_dataloader
