_base_ = ['./vitaev2-s_8xb128_in1k.py']

model = dict(
    backbone=dict(arch='b', drop_rate=0.1, drop_path_rate=0.4), head=dict(in_channels=1024)
)

optim_wrapper = dict(optimizer=dict(weight_decay=0.065), clip_grad=dict(max_norm=5.0))
