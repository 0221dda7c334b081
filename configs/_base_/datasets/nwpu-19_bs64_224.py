_base_ = ['./nwpu-28_bs64_224.py']

train_dataloader = dict(dataset=dict(ann_file='train_labels_19_0.txt'))
val_dataloader = dict(dataset=dict(ann_file='valid_labels_19_0.txt'))
test_dataloader = val_dataloader
