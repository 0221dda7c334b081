# FAIR1M 2.0 in tiles of 800 pixels, stored as DOTA's. The labels of the test set are not public: a
# test writes what the server takes.
_base_ = ['./oriented-rcnn-le90_rvsa-vit-b_mtp-pre_fpn_1x_dota-ms.py']

data_root = 'data/split_ss_fair1m2_0/'
metainfo = dict(
    classes=(
        'A220',
        'A321',
        'A330',
        'A350',
        'ARJ21',
        'Baseball-Field',
        'Basketball-Court',
        'Boeing737',
        'Boeing747',
        'Boeing777',
        'Boeing787',
        'Bridge',
        'Bus',
        'C919',
        'Cargo-Truck',
        'Dry-Cargo-Ship',
        'Dump-Truck',
        'Engineering-Ship',
        'Excavator',
        'Fishing-Boat',
        'Football-Field',
        'Intersection',
        'Liquid-Cargo-Ship',
        'Motorboat',
        'other-airplane',
        'other-ship',
        'other-vehicle',
        'Passenger-Ship',
        'Roundabout',
        'Small-Car',
        'Tennis-Court',
        'Tractor',
        'Trailer',
        'Truck-Tractor',
        'Tugboat',
        'Van',
        'Warship',
    ),
    palette='random',
)
_resize = dict(type='mmdet.Resize', scale=(800, 800), keep_ratio=True)
_rotate = dict(type='RandomRotate', prob=0.5, angle_range=180)
train_pipeline = [
    *_base_.train_pipeline[:3],
    _resize,
    _base_.train_pipeline[4],
    _rotate,
    _base_.train_pipeline[6],
]
test_pipeline = [_base_.test_pipeline[0], _resize, _base_.test_pipeline[2]]

_dataset = dict(data_root=data_root, metainfo=metainfo)
train_dataloader = dict(batch_size=1, dataset=dict(pipeline=train_pipeline, **_dataset))
val_dataloader = None
val_evaluator = None
val_cfg = None
test_dataloader = dict(
    dataset=dict(
        ann_file='',
        data_prefix=dict(img_path='test/images/'),
        pipeline=test_pipeline,
        **_dataset,
    )
)
test_evaluator = dict(
    format_only=True, merge_patches=True, outfile_prefix='work_dirs/fair1m/submission'
)

model = dict(
    backbone=dict(img_size=800),
    roi_head=dict(bbox_head=dict(num_classes=37)),
)
