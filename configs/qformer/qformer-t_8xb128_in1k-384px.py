# The official yaml of this size: QFormer-T's recipe on images of 384 pixels, windows of 7.
_base_ = ['./qformer-t_8xb128_in1k.py']

_bicubic = dict(_scope_='mmpretrain', backend='pillow', interpolation='bicubic')
_crop = dict(type='RandomResizedCrop', scale=384, **_bicubic)
_edge = dict(type='ResizeEdge', scale=438, edge='short', **_bicubic)
_center = dict(_scope_='mmpretrain', type='CenterCrop', crop_size=384)
train_pipeline = [_base_.train_pipeline[0], _crop, *_base_.train_pipeline[2:]]
test_pipeline = [_base_.test_pipeline[0], _edge, _center, _base_.test_pipeline[-1]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
