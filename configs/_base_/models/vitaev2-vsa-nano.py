# A small ViTAEv2-VSA for scenes of 256 pixels: windows of 8 divide every map.
nano_arch = dict(
    embed_dims=(16, 16, 32, 32),
    token_dims=(32, 64, 96, 128),
    depths=(0, 1, 2, 1),
    num_heads=(2, 2, 4, 4),
    rc_heads=(2, 2, 4, 4),
    rc_attention=('vsa',) * 4,
    nc_attention=('vsa',) * 4,
    dilations=((1, 2), (1, 2), (1, 2), (1, 2)),
    nc_groups=(1, 8, 16, 16),
    rc_groups=(1, 8, 16, 16),
    window_size=8,
)
# Of the last epoch of configs/quickstart/vitaev2-vsa-nano_digit-scenes.py.
nano_weights = dict(
    type='Pretrained',
    checkpoint='work_dirs/vitaev2-vsa-nano_digit-scenes/epoch_40.pth',
    prefix='backbone.',
)
