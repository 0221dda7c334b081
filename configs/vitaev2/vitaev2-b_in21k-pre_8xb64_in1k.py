# Drop path is Swin-B's; the schedule says what is published.
_base_ = [
    '../_base_/models/vitaev2.py',
    '../_base_/datasets/imagenet_bs128_vitae_224.py',
    '../_base_/schedules/imagenet_bs512_adamw_vitae-finetune.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        arch='b',
        drop_path_rate=0.2,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/vitaev2-b_32xb128_in21k/epoch_90.pth',
            prefix='backbone.',
        ),
    ),
    head=dict(in_channels=1024),
    train_cfg=None,  # neither mixup nor cutmix
)

train_dataloader = dict(batch_size=64)

default_hooks = dict(checkpoint=dict(max_keep_ckpts=3, save_best='auto'))
