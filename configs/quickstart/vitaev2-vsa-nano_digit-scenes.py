# The backbone of the detector and the segmentor of this folder, trained on the digits cut out of
# DigitScenes: those start from its checkpoint.
_base_ = [
    '../_base_/models/vitaev2-vsa-nano.py',
    '../_base_/datasets/digit_scenes_classification.py',
    '../_base_/schedules/adamw_quickstart.py',
    '../_base_/default_runtime.py',
]

model = dict(
    _scope_='mmpretrain',
    type='ImageClassifier',
    backbone=dict(
        type='mmvsa.ViTAEv2',
        arch={{_base_.nano_arch}},
        out_indices=(3,),
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.0),
        num_classes=10,
        in_channels=128,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        topk=(1,),
    ),
)

optim_wrapper = dict(clip_grad=dict(max_norm=1.0))

max_epochs = 7
param_scheduler = [
    # Where the rate rises faster, the model does not leave chance.
    dict(type='LinearLR', start_factor=0.01, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=1e-5, end=max_epochs, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
val_cfg = {}
test_cfg = {}
auto_scale_lr = dict(base_batch_size=64)

default_hooks = dict(
    logger=dict(interval=20),
    # One file whatever the number of epochs: the detector and the segmentor name it.
    checkpoint=dict(filename_tmpl='last.pth'),
)
randomness = dict(seed=0)
