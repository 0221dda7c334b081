# For the older package of P3M-10k, which has no foregrounds.
_base_ = './p3m-net_vitae-s_1xb8-150e_p3m10k-512x512.py'

model = dict(decode_head=dict(loss_weights=dict(composition=0)))
train_dataloader = dict(dataset=dict(foregrounds=False))
