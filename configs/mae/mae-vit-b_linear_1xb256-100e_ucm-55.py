_base_ = [
    '../_base_/models/mae_linear.py',
    '../_base_/datasets/ucm-55_bs256_linear.py',
    '../_base_/schedules/linear_bs256_lars_100e.py',
    '../_base_/default_runtime.py',
]

default_hooks = dict(checkpoint=dict(max_keep_ckpts=3, save_best='auto'))
