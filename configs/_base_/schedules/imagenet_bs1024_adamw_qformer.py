# The official recipe (config.py and the logs of QFormer): Swin's, with clipped gradients and with
# averaged weights, which are those that are evaluated.
_base_ = ['mmpretrain::_base_/schedules/imagenet_bs1024_adamw_swin.py']

optim_wrapper = dict(clip_grad=dict(max_norm=5.0))

# 0.99996 per 512 images, so 0.99996^2 per step.
custom_hooks = [
    dict(
        _scope_='mmpretrain',
        type='EMAHook',
        momentum=1 - 0.99996**2,
        update_buffers=True,
        priority='ABOVE_NORMAL',
    ),
]
