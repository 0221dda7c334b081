# xView in patches of 416 pixels, as scripts/prepare_xview_dataset.py of MTP cuts them.
_base_ = ['./dior_800.py']

data_root = 'data/xView/'
metainfo = dict(
    classes=(
        'Fixed-wing Aircraft',
        'Small Aircraft',
        'Cargo Plane',
        'Helicopter',
        'Passenger Vehicle',
        'Small Car',
        'Bus',
        'Pickup Truck',
        'Utility Truck',
        'Truck',
        'Cargo Truck',
        'Truck w/Box',
        'Truck Tractor',
        'Trailer',
        'Truck w/Flatbed',
        'Truck w/Liquid',
        'Crane Truck',
        'Railway Vehicle',
        'Passenger Car',
        'Cargo Car',
        'Flat Car',
        'Tank car',
        'Locomotive',
        'Maritime Vessel',
        'Motorboat',
        'Sailboat',
        'Tugboat',
        'Barge',
        'Fishing Vessel',
        'Ferry',
        'Yacht',
        'Container Ship',
        'Oil Tanker',
        'Engineering Vehicle',
        'Tower crane',
        'Container Crane',
        'Reach Stacker',
        'Straddle Carrier',
        'Mobile Crane',
        'Dump Truck',
        'Haul Truck',
        'Scraper/Tractor',
        'Front loader/Bulldozer',
        'Excavator',
        'Cement Mixer',
        'Ground Grader',
        'Hut/Tent',
        'Shed',
        'Building',
        'Aircraft Hangar',
        'Damaged Building',
        'Facility',
        'Construction Site',
        'Vehicle Lot',
        'Helipad',
        'Storage Tank',
        'Shipping container lot',
        'Shipping Container',
        'Pylon',
        'Tower',
    ),
)
_resize = dict(type='Resize', scale=(416, 416), keep_ratio=True)
train_pipeline = [*_base_.train_pipeline[:2], _resize, *_base_.train_pipeline[3:]]
test_pipeline = [_base_.test_pipeline[0], _resize, *_base_.test_pipeline[2:]]

_dataset = dict(data_root=data_root, metainfo=metainfo)
train_dataloader = dict(
    dataset=dict(
        ann_file='xview_train_coco_format.json',
        data_prefix=dict(img='train/images'),
        pipeline=train_pipeline,
        **_dataset,
    )
)
val_dataloader = dict(
    dataset=dict(
        ann_file='xview_val_coco_format.json',
        data_prefix=dict(img='val/images'),
        pipeline=test_pipeline,
        **_dataset,
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'xview_val_coco_format.json')
test_evaluator = val_evaluator
