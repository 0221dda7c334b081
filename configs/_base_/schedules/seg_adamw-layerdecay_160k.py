# The official recipe for RVSA: Swin's learning rates, each layer 0.9 times the rate of the next, no
# decay of biases, norms and positions.
_base_ = ['./seg_adamw_160k.py']

optim_wrapper = dict(
    constructor='mmvsa.LayerDecayOptimWrapperConstructor',
    optimizer=dict(weight_decay=0.05),
    paramwise_cfg=dict(
        _delete_=True,
        layer_decay_rate=0.9,
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        flat_decay_mult=0.0,
        custom_keys={'pos_embed': dict(decay_mult=0.0), 'rel_pos_': dict(decay_mult=0.0)},
    ),
)
