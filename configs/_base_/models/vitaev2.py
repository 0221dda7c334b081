# ViTAEv2 as a classifier: the mean over the last map, no norm, one linear layer.
# `_scope_`: a config that inherits this one as `mmvsa::...` gives it the scope mmvsa, which has no
# classifier.
model = dict(
    _scope_='mmpretrain',
    type='ImageClassifier',
    backbone=dict(
        type='mmvsa.ViTAEv2', arch='s', drop_path_rate=0.1, drop_path_schedule='official'
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.0),
        num_classes=1000,
        in_channels=512,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        cal_acc=False,
    ),
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]),
)
