# A small ViTAEv2-VSA: windows divide every map of 64, 128, 192 and 256 pixels.
nano_arch = dict(
    # The pyramids are as wide as the tokens and the convolutions are dense: with narrower and
    # grouped ones the reduction cells are a bottleneck, and a small model learns slowly.
    embed_dims=(16, 32, 48, 64),
    token_dims=(32, 64, 96, 128),
    depths=(1, 1, 2, 1),
    num_heads=(2, 2, 4, 4),
    rc_heads=(2, 2, 4, 4),
    # Fixed windows where maps are largest, as in ViTAEv2: there varied ones take over half of the
    # attention's time.
    attention=('window', 'vsa', 'vsa', 'vsa'),
    dilations=((1, 2), (1, 2), (1, 2), (1, 2)),
    nc_groups=(1, 1, 1, 1),
    rc_groups=(1, 1, 1, 1),
    window_size=(4, 4, 4, 2),
    mlp_ratio=1.0,
)
# Written by configs/quickstart/vitaev2-vsa-nano_digit-scenes.py.
nano_weights = dict(
    type='Pretrained',
    checkpoint='work_dirs/vitaev2-vsa-nano_digit-scenes/last.pth',
    prefix='backbone.',
)
