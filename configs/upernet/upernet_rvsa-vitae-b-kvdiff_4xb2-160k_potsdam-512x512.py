_base_ = ['./upernet_rvsa-vitae-b_4xb2-160k_potsdam-512x512.py']

model = dict(backbone=dict(attention=dict(separate_windows=True)))
