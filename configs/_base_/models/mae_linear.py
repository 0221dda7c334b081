# The class token of a frozen encoder, a batch norm without affine, one linear layer.
model = dict(
    _scope_='mmpretrain',
    type='ImageClassifier',
    backbone=dict(
        type='mmvsa.MAEEncoder',
        arch='vit-b',
        mask_ratio=0.0,
        frozen_stages=12,
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/mae-vit-b_millionaid.pth'),
    ),
    neck=dict(type='ClsBatchNormNeck', input_features=768),
    head=dict(
        type='LinearClsHead',
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.01),
        num_classes=21,
        in_channels=768,
        loss=dict(type='CrossEntropyLoss'),
    ),
)
