_base_ = [
    '../_base_/seg_runtime.py',
    '../_base_/models/fpn_vitaev2-s_rsp.py',
    '../_base_/datasets/vaihingen_5-classes.py',
    '../_base_/schedules/seg_adamw_80k.py',
]

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(attention=dict(window_size=8)),
    decode_head=dict(num_classes=5),
)
train_dataloader = dict(batch_size=4)
# The test is of whole images, without sliding windows: on patches, because those of the test set
# fit into no memory.
test_dataloader = {{_base_.val_dataloader}}
