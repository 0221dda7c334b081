# The official config of this size: a lower learning rate, more drop path, 32 images a GPU.
_base_ = ['mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-384x288.py']

custom_imports = dict(imports=['mmvsa'], allow_failed_imports=False)
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmvsa.ViTAEv2',
        arch='s',
        drop_path_rate=0.6,
        drop_path_schedule='official',
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/vitaev2-s.pth', prefix='backbone.'
        ),
    ),
    head=dict(in_channels=512),
)
optim_wrapper = dict(optimizer=dict(lr=1e-5))
train_dataloader = dict(batch_size=32)
auto_scale_lr = dict(base_batch_size=256)
