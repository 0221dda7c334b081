"""The backbone inside mmpretrain, mmdet and mmseg: real heads, a loss step, gradients."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData, PixelData

ARCH = dict(
    embed_dims=(8, 8, 8, 16),
    token_dims=(16, 16, 32, 32),
    depths=(1, 1, 1, 1),
    num_heads=(2, 2, 4, 4),
    rc_heads=(2, 2, 2, 4),
    attention=('vsa',) * 4,
    nc_groups=(1, 4, 8, 8),
    rc_groups=(1, 4, 4, 8),
)
BACKBONE = dict(type='mmvsa.ViTAEv2', arch=ARCH, out_indices=(0, 1, 2, 3))


@pytest.fixture
def default_scope(request):
    """Build as a config of the host package does: with its default scope."""
    importlib.import_module(f'{request.param}.utils').register_all_modules(False)
    with DefaultScope.overwrite_default_scope(request.param):
        yield request.param


def assert_backbone_trains(model, losses):
    loss = sum(v if torch.is_tensor(v) else sum(v) for k, v in losses.items() if 'loss' in k)
    assert loss.isfinite()
    loss.backward()
    grads = [p.grad for p in model.backbone.parameters() if p.requires_grad]
    assert all(g is not None and g.isfinite().all() for g in grads)
    assert any(g.abs().sum() > 0 for g in grads)


@pytest.mark.parametrize('default_scope', ['mmpretrain'], indirect=True)
def test_mmpretrain_classifier(default_scope):
    from mmpretrain.registry import MODELS
    from mmpretrain.structures import DataSample

    model = MODELS.build(
        dict(
            type='ImageClassifier',
            backbone={**BACKBONE, 'out_indices': (3,)},
            neck=dict(type='GlobalAveragePooling'),
            head=dict(
                type='LinearClsHead',
                num_classes=5,
                in_channels=32,
                loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1),
            ),
        )
    )
    samples = [DataSample().set_gt_label(i) for i in range(2)]
    assert_backbone_trains(model, model.loss(torch.randn(2, 3, 64, 64), samples))


@pytest.mark.parametrize('default_scope', ['mmdet'], indirect=True)
def test_mmdet_mask_rcnn(default_scope):
    from mmdet.registry import MODELS
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks

    config = Config.fromfile(_base_path('mmdet', 'models/mask-rcnn_r50_fpn.py')).model
    config.backbone = BACKBONE
    config.neck.in_channels = [16, 16, 32, 32]
    config.train_cfg.rpn_proposal.max_per_img = 50
    model = MODELS.build(config)
    sample = DetDataSample()
    sample.set_metainfo(
        dict(img_shape=(96, 128), pad_shape=(96, 128), ori_shape=(96, 128), scale_factor=(1, 1))
    )
    masks = np.zeros((1, 96, 128), dtype=np.uint8)
    masks[0, 20:60, 30:80] = 1
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor([[30.0, 20.0, 80.0, 60.0]]),
        labels=torch.tensor([3]),
        masks=BitmapMasks(masks, 96, 128),
    )
    sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4))
    losses = model.loss(torch.randn(1, 3, 96, 128), [sample])
    assert {'loss_rpn_cls', 'loss_bbox', 'loss_mask'} <= losses.keys()
    assert_backbone_trains(model, losses)


@pytest.mark.parametrize('default_scope', ['mmseg'], indirect=True)
def test_mmseg_upernet(default_scope):
    from mmseg.registry import MODELS
    from mmseg.structures import SegDataSample

    config = Config.fromfile(_base_path('mmseg', 'models/upernet_r50.py')).model
    config.backbone = BACKBONE
    config.pretrained = None
    config.decode_head.update(in_channels=[16, 16, 32, 32], channels=32, num_classes=4)
    config.auxiliary_head.update(in_channels=32, channels=16, num_classes=4)
    for head in (config.decode_head, config.auxiliary_head):
        head.norm_cfg = dict(type='BN')
    model = MODELS.build(config)
    sample = SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, 4, (1, 64, 96))))
    sample.set_metainfo(dict(img_shape=(64, 96), ori_shape=(64, 96)))
    losses = model.loss(torch.randn(2, 3, 64, 96), [sample, sample])
    assert_backbone_trains(model, losses)


def _base_path(package, name):
    """A base config that the installed package ships."""
    root = Path(importlib.import_module(package).__file__).parent
    return root / '.mim' / 'configs' / '_base_' / name


def test_import_alone_registers():
    import mmvsa
    from mmvsa.registry import MODELS

    assert mmvsa.models.ViTAEv2 is MODELS.get('ViTAEv2')
    from mmengine.registry import MODELS as ROOT

    assert ROOT.get('mmvsa.ViTAEv2') is mmvsa.models.ViTAEv2
