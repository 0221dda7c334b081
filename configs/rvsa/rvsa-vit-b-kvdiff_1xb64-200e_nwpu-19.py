_base_ = ['./rvsa-vit-b_1xb64-200e_nwpu-19.py']

model = dict(backbone=dict(attention=dict(separate_windows=True)))
