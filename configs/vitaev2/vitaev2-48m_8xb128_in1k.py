_base_ = ['./vitaev2-s_8xb128_in1k.py']

model = dict(backbone=dict(arch='48m', drop_path_rate=0.25), head=dict(in_channels=768))

optim_wrapper = dict(optimizer=dict(weight_decay=0.055))
