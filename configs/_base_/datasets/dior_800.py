# DIOR with upright boxes, as scripts/dior_h_2_coco.py of MTP writes them.
_base_ = ['mmdet::_base_/datasets/coco_detection.py']

data_root = 'data/DIOR/'
metainfo = dict(
    classes=(
        'airplane',
        'airport',
        'baseballfield',
        'basketballcourt',
        'bridge',
        'chimney',
        'expressway-service-area',
        'expressway-toll-station',
        'dam',
        'golffield',
        'groundtrackfield',
        'harbor',
        'overpass',
        'ship',
        'stadium',
        'storagetank',
        'tenniscourt',
        'trainstation',
        'vehicle',
        'windmill',
    ),
)
_resize = dict(type='Resize', scale=(800, 800), keep_ratio=True)
train_pipeline = [*_base_.train_pipeline[:2], _resize, *_base_.train_pipeline[3:]]
test_pipeline = [_base_.test_pipeline[0], _resize, *_base_.test_pipeline[2:]]

_dataset = dict(data_root=data_root, metainfo=metainfo)
train_dataloader = dict(
    batch_size=1,
    dataset=dict(
        ann_file='DIOR_trainval_coco.json',
        data_prefix=dict(img='JPEGImages-trainval'),
        pipeline=train_pipeline,
        **_dataset,
    ),
)
val_dataloader = dict(
    dataset=dict(
        ann_file='DIOR_test_coco.json',
        data_prefix=dict(img='JPEGImages-test'),
        pipeline=test_pipeline,
        **_dataset,
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'DIOR_test_coco.json')
test_evaluator = val_evaluator
