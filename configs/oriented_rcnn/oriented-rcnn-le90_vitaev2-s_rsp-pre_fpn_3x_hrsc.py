# Trained on trainval, tested on test, by VOC's metric of 2007 and of 2012.
_base_ = ['./oriented-rcnn-le90_vitaev2-s_rsp-pre_fpn_1x_dota.py']

_resize = dict(type='mmdet.Resize', scale=(1333, 800), keep_ratio=True)
train_pipeline = [*_base_.train_pipeline[:3], _resize, *_base_.train_pipeline[4:]]
val_pipeline = [_base_.val_pipeline[0], _resize, *_base_.val_pipeline[2:]]

_dataset = dict(
    _delete_=True,
    type='HRSCDataset',
    data_root='data/hrsc/',
    data_prefix=dict(sub_data_root='FullDataSet/'),
)
train_dataloader = dict(
    dataset=dict(
        ann_file='ImageSets/trainval.txt',
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=train_pipeline,
        **_dataset,
    )
)
val_dataloader = dict(
    dataset=dict(ann_file='ImageSets/test.txt', test_mode=True, pipeline=val_pipeline, **_dataset)
)
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='DOTAMetric', metric='mAP', eval_mode='11points', prefix='voc07'),
    dict(type='DOTAMetric', metric='mAP', eval_mode='area', prefix='voc12'),
]
test_evaluator = val_evaluator

model = dict(roi_head=dict(bbox_head=dict(num_classes=1)))

train_cfg = dict(max_epochs=36)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', begin=0, end=36, by_epoch=True, milestones=[24, 33], gamma=0.1),
]
