_base_ = [
    '../_base_/models/mae.py',
    '../_base_/datasets/millionaid_bs256_mae.py',
    '../_base_/schedules/mae_bs2048_adamw_1600e.py',
    '../_base_/default_runtime.py',
]

default_hooks = dict(checkpoint=dict(interval=20, max_keep_ckpts=3))

# Each process hides other patches.
randomness = dict(seed=0, diff_rank_seed=True)
