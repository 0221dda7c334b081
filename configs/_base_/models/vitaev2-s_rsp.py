# RSP's scene classifier: the pretrained backbone, a head that starts at zero, no drop path.
_base_ = ['./vitaev2.py']

model = dict(
    backbone=dict(
        drop_path_rate=0.0,
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/rsp-vitaev2-s-e100.pth'),
    ),
    head=dict(init_cfg=dict(_delete_=True, type='Constant', layer='Linear', val=0.0)),
)
