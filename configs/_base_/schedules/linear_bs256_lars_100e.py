# The official recipe (main_linprobe.py and the README of Remote-Sensing-RVSA): LARS, 0.1 per 256
# images; the bias learns at the rate itself.
optim_wrapper = dict(
    optimizer=dict(type='LARS', lr=0.1, momentum=0.9, weight_decay=0.0),
    paramwise_cfg=dict(custom_keys={'head.fc.bias': dict(lars_exclude=True)}),
)

param_scheduler = [
    dict(type='LinearLR', start_factor=1e-4, by_epoch=True, end=10, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.0,
        by_epoch=True,
        begin=10,
        end=100,
        convert_to_iter_based=True,
    ),
]

train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=1)
val_cfg = {}
test_cfg = {}

auto_scale_lr = dict(base_batch_size=256)
