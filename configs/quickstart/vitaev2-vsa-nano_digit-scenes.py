# The backbone of the detector and the segmentor of this folder, trained on the digits cut out of
# DigitScenes: those start from its checkpoint.
_base_ = [
    '../_base_/models/vitaev2-vsa-nano.py',
    '../_base_/datasets/digit_scenes_classification.py',
    '../_base_/schedules/muon_quickstart.py',
    '../_base_/default_runtime.py',
]

model = dict(
    _scope_='mmpretrain',
    type='ImageClassifier',
    backbone=dict(
        type='mmvsa.ViTAEv2',
        arch={{_base_.nano_arch}},
        out_indices=(3,),
        drop_path_rate=0.05,
        keep_activations=True,
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

optim_wrapper = dict(optimizer=dict(lr=4e-3))

max_epochs = 15
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, end=1, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-5,
        begin=1,
        end=max_epochs,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=64)

default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(max_keep_ckpts=1, save_best='accuracy/top1', rule='greater'),
)
randomness = dict(seed=0)
