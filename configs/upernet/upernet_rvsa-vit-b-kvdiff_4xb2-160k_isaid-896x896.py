_base_ = ['./upernet_rvsa-vit-b_4xb2-160k_isaid-896x896.py']

model = dict(backbone=dict(attention=dict(separate_windows=True)))
