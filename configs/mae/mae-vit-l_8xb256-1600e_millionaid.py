_base_ = ['./mae-vit-b_8xb256-1600e_millionaid.py']

model = dict(backbone=dict(arch='vit-l'), neck=dict(embed_dim=1024))
