_base_ = ['mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py']

custom_imports = dict(imports=['mmvsa'], allow_failed_imports=False)
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmvsa.ViTAEv2',
        arch='s',
        drop_path_rate=0.4,
        drop_path_schedule='official',
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/vitaev2-s.pth', prefix='backbone.'
        ),
    ),
    head=dict(in_channels=512),
)
