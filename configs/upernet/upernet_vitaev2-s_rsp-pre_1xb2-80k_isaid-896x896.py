_base_ = [
    '../_base_/seg_runtime.py',
    '../_base_/models/upernet_vitaev2-s_rsp.py',
    '../_base_/datasets/isaid_896.py',
    '../_base_/schedules/seg_adamw_80k.py',
]

model = dict(
    data_preprocessor=dict(size=(896, 896), test_cfg=dict(size=(896, 896))),
    decode_head=dict(num_classes=16),
    auxiliary_head=dict(num_classes=16),
)
train_dataloader = dict(batch_size=2)
