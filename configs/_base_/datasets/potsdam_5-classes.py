# Potsdam as RSP and RVSA have it: labels 0 to 5, validation on patches, test on whole images of
# 6000x6000. Clutter (5) is not among the classes, so mmseg reads it as 255, which is ignored.
# Files of mmseg's converter have labels 1 to 6, and 0 for what has none: `reduce_zero_label=True`.
_base_ = ['mmseg::_base_/datasets/potsdam.py']

_classes = dict(
    classes=('impervious_surface', 'building', 'low_vegetation', 'tree', 'car'),
    palette=[[255, 255, 255], [0, 0, 255], [0, 255, 255], [0, 255, 0], [255, 255, 0]],
)
_dataset = dict(metainfo=_classes, reduce_zero_label=False)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(512, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
    # No label is left out where classes are counted: in the official code, clutter counts.
    dict(type='RandomCrop', crop_size=(512, 512), cat_max_ratio=0.75, ignore_index=-1),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
val_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(512, 512), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline, **_dataset))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline, **_dataset))
test_dataloader = dict(
    dataset=dict(
        data_prefix=dict(img_path='img_dir/val_all', seg_map_path='ann_dir/val_all'),
        pipeline=test_pipeline,
        **_dataset,
    )
)
val_evaluator = dict(iou_metrics=['mIoU', 'mFscore'])
test_evaluator = val_evaluator
