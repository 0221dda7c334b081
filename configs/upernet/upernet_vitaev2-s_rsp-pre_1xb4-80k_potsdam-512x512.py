_base_ = [
    '../_base_/seg_runtime.py',
    '../_base_/models/upernet_vitaev2-s_rsp.py',
    '../_base_/datasets/potsdam_5-classes.py',
    '../_base_/schedules/seg_adamw_80k.py',
]

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    decode_head=dict(num_classes=5),
    auxiliary_head=dict(num_classes=5),
)
train_dataloader = dict(batch_size=4)
