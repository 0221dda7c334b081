# Options of backbones as they were written at 0.1.0.
_vitaev2 = dict(
    embed_dims=(4, 8),
    token_dims=(16, 32),
    depths=(1, 1),
    num_heads=(2, 4),
    rc_heads=(2, 2),
    nc_groups=(1, 8),
    rc_groups=(1, 4),
    window_size=4,
    mlp_ratio=2.0,
)
_swin = dict(embed_dims=16, depths=(2, 1), num_heads=(2, 4), window_size=4)
_rvsa = dict(embed_dims=32, depth=3, num_heads=4, patch_size=8, window_size=4, full_every=3)
_vitae = dict(
    embed_dims=(4, 8),
    token_dims=(16, 24),
    depths=(0, 2),
    num_heads=(1, 2),
    groups=(1, 4),
    reductions=('pyramid', 'pyramid'),
    downsample=(4, 2),
)

vitaev2_window_and_full = dict(
    type='mmvsa.ViTAEv2',
    arch=dict(_vitaev2, rc_attention=('window', 'full'), nc_attention=('window', 'full')),
    out_indices=(0, 1),
    keep_activations=True,
)
vitaev2_mixed = dict(
    type='mmvsa.ViTAEv2',
    arch=dict(
        _vitaev2,
        rc_attention=('window', 'vsa'),
        nc_attention=('vsa', 'full'),
        wide_pcm=True,
        position_conv=True,
        relative_position=False,
    ),
    out_indices=(0, 1),
    window_padding='center',
    attention_backend='torch',
)
vitaev2_quadrangle = dict(
    type='mmvsa.ViTAEv2',
    arch=dict(_vitaev2, rc_attention=('vsa',) * 2, nc_attention=('vsa',) * 2),
    out_indices=(0, 1),
    window_transform=dict(type='Quadrangle', coords_lambda=0.1),
)
vitaev2_offset_unit = dict(
    type='mmvsa.ViTAEv2',
    arch=dict(_vitaev2, rc_attention=('vsa',) * 2, nc_attention=('vsa',) * 2),
    out_indices=(0, 1),
    window_transform=dict(offset_unit='swapped', coords_lambda=1e-5),
    drop_path_rate=0.1,
    drop_path_schedule='authors',
)
vitae = dict(type='mmvsa.ViTAE', arch=_vitae, out_indices=(0, 1))
swin_vsa = dict(
    type='mmvsa.SwinVSA',
    arch=_swin,
    out_indices=(0, 1),
    rpe='v2',
    window_padding='center',
    window_transform='RotatedVariedSizeWindow',
)
swin_vsa_without_rpe = dict(
    type='mmvsa.SwinVSA',
    arch=_swin,
    out_indices=(0, 1),
    rpe=None,
    position_conv=False,
    window_transform=dict(offset_unit='axis'),
    attention_backend='auto',
)
qformer = dict(
    type='mmvsa.QFormer',
    arch=_swin,
    out_indices=(0, 1),
    rpe='v1',
    window_transform=dict(coords_lambda=0.5, skip_single_window=False),
)
rvsa = dict(type='mmvsa.RVSA', arch=_rvsa, img_size=48, final_norm=False)
rvsa_kvdiff = dict(
    type='mmvsa.RVSA',
    arch=dict(_rvsa, pcm_groups=8),
    img_size=48,
    out_type='avg_featmap',
    separate_windows=True,
    window_padding='end',
    window_transform='VariedSizeWindow',
    attention_backend='torch',
    keep_activations=True,
)
