_base_ = [
    '../_base_/seg_runtime.py',
    '../_base_/models/upernet_rvsa_mtp.py',
    'mmseg::_base_/datasets/loveda.py',
    '../_base_/schedules/mtp_adamw-layerdecay_80k.py',
]

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    decode_head=dict(num_classes=7),
    test_cfg=dict(mode='slide', stride=(384, 384), crop_size=(512, 512)),
)
train_dataloader = dict(batch_size=1)
