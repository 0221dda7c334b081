# Vaihingen, labeled and tested as Potsdam.
_base_ = ['./potsdam_5-classes.py']

_dataset = dict(type='ISPRSDataset', data_root='data/vaihingen')
train_dataloader = dict(dataset=_dataset)
val_dataloader = dict(dataset=_dataset)
test_dataloader = dict(dataset=_dataset)
