# MTP's: a cosine to zero; positions of full attention and of windows decay.
_base_ = ['./seg_adamw-layerdecay_160k.py']

optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(_delete_=True, pos_embed=dict(decay_mult=0.0)))
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=1500, end=80000),
]
train_cfg = dict(max_iters=80000, val_interval=20000)
default_hooks = dict(checkpoint=dict(interval=5000))
