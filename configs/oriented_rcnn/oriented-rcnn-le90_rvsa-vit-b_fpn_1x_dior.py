# DIOR-R: images of 800 pixels, trained on trainval, tested on test by VOC's metric of 2007.
_base_ = ['./oriented-rcnn-le90_rvsa-vit-b_fpn_1x_dota.py']

_resize = dict(type='mmdet.Resize', scale=(800, 800), keep_ratio=True)
train_pipeline = [*_base_.train_pipeline[:3], _resize, *_base_.train_pipeline[4:]]
val_pipeline = [_base_.val_pipeline[0], _resize, *_base_.val_pipeline[2:]]

_dataset = dict(_delete_=True, type='DIORDataset', data_root='data/DIOR/')
train_dataloader = dict(
    dataset=dict(
        ann_file='ImageSets/Main/trainval.txt',
        data_prefix=dict(img_path='JPEGImages-trainval'),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=train_pipeline,
        **_dataset,
    )
)
val_dataloader = dict(
    dataset=dict(
        ann_file='ImageSets/Main/test.txt',
        data_prefix=dict(img_path='JPEGImages-test'),
        test_mode=True,
        pipeline=val_pipeline,
        **_dataset,
    )
)
test_dataloader = val_dataloader

model = dict(
    data_preprocessor=dict(pad_size_divisor=800),
    backbone=dict(img_size=800),
    roi_head=dict(bbox_head=dict(num_classes=20)),
)
