_base_ = ['../vitaev2/vitaev2-b_in21k-pre_16xb32_in1k-384px.py']

checkpoint = 'work_dirs/vitaev2-b-vsa_32xb128_in21k/epoch_90.pth'
model = dict(backbone=dict(arch='b-vsa', init_cfg=dict(checkpoint=checkpoint)))
