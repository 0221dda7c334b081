# Small models, trained for minutes.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05, fused=True),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        flat_decay_mult=0.0,
        # At the full rate, windows can leave the map for good: outside it they read zeros, which
        # give no gradient.
        custom_keys=dict(regressor=dict(lr_mult=0.02)),
    ),
    clip_grad=dict(max_norm=5.0),
)
