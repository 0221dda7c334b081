# RSP's UperNet; windows are padded at the end (right and bottom). Windows of 512 pixels slide over
# every image that is tested, as in the official base file.
_base_ = ['./upernet_vitaev2.py']

model = dict(
    backbone=dict(
        attention=dict(padding='end'),
        drop_path_rate=0.3,
        drop_path_schedule='official',
        init_cfg=dict(type='Pretrained', checkpoint='checkpoints/rsp-vitaev2-s-e100.pth'),
    ),
    test_cfg=dict(mode='slide', stride=(384, 384), crop_size=(512, 512)),
)
