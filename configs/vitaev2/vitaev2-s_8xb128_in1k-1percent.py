_base_ = ['./vitaev2-s_8xb128_in1k.py']

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmvsa.FewShot',
        fraction=0.01,
        dataset={{_base_.train_dataloader.dataset}},
    )
)
