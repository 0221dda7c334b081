# MTP's classifier: the mean of the tokens without a norm, and plain cross-entropy.
_base_ = ['./rvsa.py', './mtp.py']

model = dict(
    backbone=dict(_delete_=True, type='mmvsa.RVSA', out_type='avg_featmap', **_base_.mtp_vit_b),
    head=dict(
        init_cfg=dict(_delete_=True, type='Normal', layer='Linear', std=0.01),
        loss=dict(_delete_=True, type='CrossEntropyLoss'),
    ),
    train_cfg=None,
)
