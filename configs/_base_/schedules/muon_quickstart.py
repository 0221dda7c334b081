# As adamw_quickstart.py, with Muon: a lower loss after as many steps (quickstart/README.md).
_base_ = './adamw_quickstart.py'
optim_wrapper = dict(
    optimizer=dict(type='mmvsa.Muon', lr=3e-3),
    # At the full rate windows leave the map for good; there they read zeros.
    paramwise_cfg=dict(custom_keys={'transform.regressor': dict(lr_mult=0.02)}),
)
