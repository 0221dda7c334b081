# Small models, trained for minutes.
optim_wrapper = dict(
    type='OptimWrapper',
    # 200 groups of one parameter each took a tenth of a step (docs/performance.md).
    constructor='mmvsa.MergedGroupsOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05, fused=True),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0),
    clip_grad=dict(max_norm=5.0),
)
