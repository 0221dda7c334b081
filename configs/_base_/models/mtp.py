# RVSA as MTP pretrained it on SAMRS and fine-tunes it: maps after a third, a half, two thirds and
# all of the blocks, without a norm.
mtp_vit_b = dict(
    arch='vit-b',
    out_indices=(3, 5, 7, 11),
    final_norm=False,
    drop_path_rate=0.3,
    init_cfg=dict(type='Pretrained', checkpoint='checkpoints/mtp-vit-b_samrs.pth'),
)
mtp_vit_l = dict(
    arch='vit-l',
    out_indices=(7, 11, 15, 23),
    init_cfg=dict(checkpoint='checkpoints/mtp-vit-l_samrs.pth'),
)
mtp_vit_l_channels = [1024] * 4
# The full attention of its detectors has no relative positions.
mtp_detector_vit_b = dict(
    attention=(None, None, dict(position=None)), out_type='pyramid', **mtp_vit_b
)
mtp_detector_vit_l = dict(attention=(*[None] * 5, dict(position=None)), **mtp_vit_l)
