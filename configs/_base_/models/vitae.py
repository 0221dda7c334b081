# The sizes with a class token normalize the mean of the tokens in the backbone, and have no neck.
_base_ = ['./vitaev2.py']

model = dict(
    backbone=dict(_delete_=True, type='mmvsa.ViTAE', arch='tiny', drop_path_rate=0.1),
    head=dict(in_channels=256),
)
