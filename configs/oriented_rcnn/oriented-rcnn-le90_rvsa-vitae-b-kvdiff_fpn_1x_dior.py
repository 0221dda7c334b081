_base_ = ['./oriented-rcnn-le90_rvsa-vitae-b_fpn_1x_dior.py']

model = dict(backbone=dict(attention=dict(separate_windows=True)))
