# DIOR-R by the recipe of MTP, with one image per GPU.
_base_ = ['./oriented-rcnn-le90_rvsa-vit-b_fpn_1x_dior.py', '../_base_/models/mtp.py']

model = dict(
    data_preprocessor=dict(pad_size_divisor=32),
    backbone=dict(_delete_=True, type='mmvsa.RVSA', img_size=800, **_base_.mtp_detector_vit_b),
)
train_dataloader = dict(batch_size=1)
optim_wrapper = dict(
    clip_grad=None,
    paramwise_cfg=dict(
        layer_decay_rate=0.9,
        custom_keys=dict(_delete_=True, pos_embed=dict(decay_mult=0.0)),
    ),
)
param_scheduler = [dict(_base_.param_scheduler[0], start_factor=1e-6), _base_.param_scheduler[1]]
auto_scale_lr = dict(base_batch_size=4)
