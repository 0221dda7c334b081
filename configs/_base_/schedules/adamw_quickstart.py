# Small models, trained for minutes.
optim_wrapper = dict(
    type='OptimWrapper',
    # A tenth of a step of such models went to 200 groups of one parameter each.
    constructor='mmvsa.MergedGroupsOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05, fused=True),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0),
    clip_grad=dict(max_norm=5.0),
)
