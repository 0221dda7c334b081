# Drop path is Swin-B's; the schedule says what is published.
_base_ = [
    '../_base_/models/vitaev2.py',
    '../_base_/datasets/imagenet21k_bs128_vitae_224.py',
    '../_base_/schedules/imagenet21k_bs4096_adamw_vitae.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(arch='b', drop_path_rate=0.2), head=dict(num_classes=21841, in_channels=1024)
)
