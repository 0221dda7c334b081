_base_ = ['./vitaev2.py']

model = dict(
    backbone=dict(_delete_=True, type='mmvsa.SwinVSA', arch='t', drop_path_rate=0.2),
    head=dict(in_channels=768),
)
