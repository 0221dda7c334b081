# As adamw_quickstart.py, with Muon: about half of the steps to the same loss.
_base_ = './adamw_quickstart.py'
optim_wrapper = dict(
    optimizer=dict(type='mmvsa.Muon', lr=3e-3),
    # At the full rate windows leave the map for good within a few epochs: they read zeros then.
    paramwise_cfg=dict(custom_keys={'transform.regressor': dict(lr_mult=0.02)}),
)
