_base_ = ['./vitaev2-s_8xb128_in1k.py']

# ViTAEv2*-S of the papers: window attention in all four stages.
model = dict(backbone=dict(arch='s-window'))
