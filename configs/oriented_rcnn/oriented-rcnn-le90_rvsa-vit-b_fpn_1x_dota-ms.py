# Tiles of three scales, rotated at random as mmrotate does (the official code: by 0 to 90 degrees).
_base_ = ['./oriented-rcnn-le90_rvsa-vit-b_fpn_1x_dota.py']

data_root = 'data/split_ms_dota/'
# Right angles for storage tanks and roundabouts, whose boxes are upright.
rotate = dict(type='RandomRotate', prob=0.5, angle_range=180, rect_obj_labels=[9, 11])
train_pipeline = [*_base_.train_pipeline[:-1], rotate, _base_.train_pipeline[-1]]
train_dataloader = dict(dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
model = dict(data_preprocessor=dict(pad_size_divisor=32))
