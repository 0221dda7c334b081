_base_ = ['./rvsa-vitae-b_1xb64-200e_aid-28.py']

model = dict(backbone=dict(attention=dict(separate_windows=True)))
