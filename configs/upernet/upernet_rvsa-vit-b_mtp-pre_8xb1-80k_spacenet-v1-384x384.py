_base_ = [
    '../_base_/seg_runtime.py',
    '../_base_/models/upernet_rvsa_mtp.py',
    '../_base_/datasets/spacenet-v1_384.py',
    '../_base_/schedules/mtp_adamw-layerdecay_80k.py',
]

model = dict(
    data_preprocessor=dict(size=(384, 384)),
    backbone=dict(img_size=384),
    decode_head=dict(num_classes=2),
    test_cfg=dict(mode='slide', stride=(256, 256), crop_size=(384, 384)),
)
