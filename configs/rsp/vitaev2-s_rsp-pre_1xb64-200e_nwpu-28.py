_base_ = [
    '../_base_/models/vitaev2-s_rsp.py',
    '../_base_/datasets/nwpu-28_bs64_224.py',
    '../_base_/schedules/scene_bs64_adamw_rsp.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=45))

default_hooks = dict(checkpoint=dict(interval=10, max_keep_ckpts=3, save_best='auto'))
