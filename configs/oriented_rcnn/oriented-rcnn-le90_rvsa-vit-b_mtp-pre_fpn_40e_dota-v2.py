# DOTA v2.0: tiles of one scale, not turned, and 40 epochs.
_base_ = ['./oriented-rcnn-le90_rvsa-vit-b_mtp-pre_fpn_1x_dota-ms.py']

data_root = 'data/split_ss_dota2_0/'
train_pipeline = [*_base_.train_pipeline[:-2], _base_.train_pipeline[-1]]
_dataset = dict(type='DOTAv2Dataset', data_root=data_root)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline, **_dataset))
val_dataloader = dict(dataset=_dataset)
test_dataloader = val_dataloader

model = dict(roi_head=dict(bbox_head=dict(num_classes=18)))

train_cfg = dict(max_epochs=40, val_interval=8)
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], end=40, milestones=[24, 32, 38]),
]
