# Potsdam without clutter, which is ignored: what is not among the classes becomes 255.
_base_ = ['mmseg::_base_/datasets/potsdam.py']

_classes = dict(
    classes=('impervious_surface', 'building', 'low_vegetation', 'tree', 'car'),
    palette=[[255, 255, 255], [0, 0, 255], [0, 255, 255], [0, 255, 0], [255, 255, 0]],
)
train_dataloader = dict(batch_size=2, dataset=dict(metainfo=_classes))
val_dataloader = dict(dataset=dict(metainfo=_classes))
test_dataloader = val_dataloader
