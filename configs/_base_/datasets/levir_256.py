# LEVIR-CD in patches of 256x256, as tools/dataset_converters/levir.py cuts them.
_base_ = ['./cdd_256.py']

data_root = 'data/levir_256/'
_dataset = dict(data_root=data_root, suffix='.png')
train_dataloader = dict(dataset=_dataset)
val_dataloader = dict(dataset=_dataset)
test_dataloader = dict(dataset=_dataset)
