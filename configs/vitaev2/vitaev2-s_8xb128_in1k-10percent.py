_base_ = ['./vitaev2-s_8xb128_in1k-1percent.py']

train_dataloader = dict(dataset=dict(fraction=0.1))
