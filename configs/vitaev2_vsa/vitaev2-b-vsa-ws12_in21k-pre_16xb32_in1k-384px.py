# Windows of 12 from weights of windows of 7: the tables of relative positions are resized.
_base_ = ['./vitaev2-b-vsa_in21k-pre_16xb32_in1k-384px.py']

model = dict(backbone=dict(arch='b-vsa-ws12'))
