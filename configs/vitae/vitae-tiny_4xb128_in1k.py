# The command of the official README: 512 images per iteration, 1e-3, weight decay 0.03.
_base_ = ['./vitae-small_8xb128_in1k.py']

model = dict(backbone=dict(arch='tiny'), head=dict(in_channels=256))

optim_wrapper = dict(optimizer=dict(lr=1e-3, weight_decay=0.03))

# 0.99996 per step of 512 images.
custom_hooks = [
    dict(
        _scope_='mmpretrain',
        type='EMAHook',
        momentum=1 - 0.99996,
        update_buffers=True,
        priority='ABOVE_NORMAL',
    ),
]

auto_scale_lr = dict(base_batch_size=512)
