"""Reuse from outside: configs elsewhere, run by the host packages' own unmodified tools.

Each runs in a process of its own, as a user's: nothing imports mmvsa before the config does.
"""

import importlib
import json
import math
import sys
from pathlib import Path

import pytest
import torch
from helpers.cli import ROOT, run_command
from helpers.hosts import require_host_of
from helpers.scenes import write_tiny_scenes
from mmengine.config import Config
from mmengine.registry import (
    DATASETS,
    HOOKS,
    METRICS,
    MODELS,
    VISUALIZERS,
    init_default_scope,
)

import mmvsa
from mmvsa.utils import use_data_root

needs_installation = pytest.mark.skipif(
    not (ROOT / 'mmvsa/.mim').exists(), reason='mmvsa:: needs mmvsa installed (pip install -e .)'
)
IMPORTS = "custom_imports = dict(imports=['mmvsa'], allow_failed_imports=False)\n"
# Every config below is a user's: it names mmvsa's backbone and the host package's bases.
ARCH = """
arch = dict(
    embed_dims=(4, 4, 8, 8), token_dims=(8, 8, 16, 16), depths=(0, 1, 1, 1),
    num_heads=(2, 2, 2, 2), rc_heads=(2, 2, 2, 2), attention=('vsa',) * 4,
    nc_groups=(1, 4, 4, 4), rc_groups=(1, 4, 4, 4))
"""
DETECTION = """
_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    'mmdet::_base_/datasets/coco_instance.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    'mmdet::_base_/default_runtime.py',
]
model = dict(
    backbone=dict(
        _delete_=True, type='mmvsa.ViTAEv2', arch=arch, out_indices=(0, 1, 2, 3)),
    neck=dict(in_channels=[8, 8, 16, 16]),
    roi_head=dict(bbox_head=dict(num_classes=10), mask_head=dict(num_classes=10)),
    train_cfg=dict(
        rpn_proposal=dict(max_per_img=16), rcnn=dict(sampler=dict(num=8))),
)
root = 'ROOT/'
scenes = dict(num=8, num_val=4, size=96)
train_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(
    _delete_=True, type='mmvsa.DigitScenesDetection', data_root=root, settings=scenes,
    indices=4, pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
        dict(type='Resize', scale=(96, 96)), dict(type='PackDetInputs')]))
train_cfg = dict(max_epochs=1)
default_hooks = dict(logger=dict(interval=1))
val_dataloader = val_evaluator = val_cfg = None
test_dataloader = test_evaluator = test_cfg = None
"""
SEGMENTATION = """
_base_ = __import__('mmvsa') and [
    'mmseg::_base_/models/upernet_r50.py',
    'mmseg::_base_/schedules/schedule_20k.py',
    'mmseg::_base_/default_runtime.py',
    'mmvsa::_base_/datasets/digit_scenes_segmentation.py',
]
norm_cfg = dict(type='BN')
model = dict(
    data_preprocessor=dict(size=(256, 256)),
    pretrained=None,
    backbone=dict(
        _delete_=True, type='mmvsa.ViTAEv2', arch=arch, out_indices=(0, 1, 2, 3)),
    decode_head=dict(
        in_channels=[8, 8, 16, 16], channels=8, num_classes=11, norm_cfg=norm_cfg),
    auxiliary_head=dict(in_channels=16, channels=8, num_classes=11, norm_cfg=norm_cfg),
)
train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False, dataset=dict(
    data_root='ROOT', settings=None))
train_cfg = dict(max_iters=2)
default_hooks = dict(logger=dict(interval=1))
val_dataloader = val_evaluator = val_cfg = None
test_dataloader = test_evaluator = test_cfg = None
"""
CLASSIFICATION = """
_base_ = ['mmpretrain::_base_/default_runtime.py']
model = dict(
    type='ImageClassifier',
    backbone=dict(type='mmvsa.ViTAEv2', arch=arch, out_indices=(3,)),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=16, topk=(1,)),
)
data_preprocessor = dict(num_classes=10, mean=[127.5] * 3, std=[64] * 3)
train_dataloader = dict(
    batch_size=8, num_workers=0, persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='CustomDataset', data_root='ROOT/classification/train', indices=16,
        pipeline=[
            dict(type='LoadImageFromFile'), dict(type='Resize', scale=(32, 32)),
            dict(type='PackInputs')]))
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3))
train_cfg = dict(by_epoch=True, max_epochs=1)
default_hooks = dict(logger=dict(interval=1))
"""


def run_host_tool(package: str, folder: Path, text: str) -> None:
    """Run ``<package>/.mim/tools/train.py`` on a config in ``folder``; the losses are finite."""
    config = folder / 'mine.py'
    config.write_text(IMPORTS + ARCH + text.replace('ROOT', str(folder / 'digit_scenes')))
    tool = Path(importlib.import_module(package).__file__).parent / '.mim/tools/train.py'
    work_dir = folder / 'work'
    run_command(sys.executable, tool, config, '--work-dir', work_dir)
    (scalars,) = work_dir.glob('*/vis_data/scalars.json')
    losses = [json.loads(line)['loss'] for line in scalars.read_text().splitlines()]
    assert losses and all(math.isfinite(loss) for loss in losses)


def test_mmdet(tmp_path: Path) -> None:
    """Without data: the dataset generates them."""
    run_host_tool('mmdet', tmp_path, DETECTION)
    assert (tmp_path / 'digit_scenes/digit_scenes.json').is_file()
    assert (tmp_path / 'work/epoch_1.pth').is_file()


@needs_installation
def test_mmseg(tmp_path: Path) -> None:
    """With bases of mmseg and of mmvsa."""
    write_tiny_scenes(tmp_path)
    run_host_tool('mmseg', tmp_path, SEGMENTATION)
    assert (tmp_path / 'work/iter_2.pth').is_file()


def test_mmpretrain(tmp_path: Path) -> None:
    write_tiny_scenes(tmp_path)
    run_host_tool('mmpretrain', tmp_path, CLASSIFICATION)
    assert (tmp_path / 'work/epoch_1.pth').is_file()


def run_python(code: str) -> str:
    """Run code in a process of its own and return its output."""
    return run_command(sys.executable, '-c', code)


def test_importing_mmvsa_loads_nothing_else() -> None:
    """No host package, and no module that torch and MMEngine do not load: it is as quick."""
    code = """
import sys, torch, mmengine
before = set(sys.modules)
import mmvsa
print(*sorted(set(sys.modules) - before))
"""
    loaded = run_python(code).splitlines()[-1].split()
    assert loaded == ['mmvsa', 'mmvsa.hub', 'mmvsa.registry', 'mmvsa.version']


def test_host_packages_are_imported_without_a_word() -> None:
    """They print at import which optional packages are missing, at the level of debugging."""
    code = """
import logging, warnings
warnings.simplefilter('ignore')
import mmvsa, mmengine.logging
for host in ('mmpretrain', 'mmdet', 'mmseg'):
    __import__(f'{host}.datasets')
mmengine.logging.print_log('told', level=logging.WARNING)
mmengine.logging.print_log('told by default')
"""
    assert run_python(code).splitlines() == ['told', 'told by default']


def test_registries_find_their_modules() -> None:
    """From MMEngine's roots, with nothing imported before, as in a config without imports."""
    code = """
import mmengine.registry as root
names = dict(
    MODELS='RVSA', DATASETS='Digits', TRANSFORMS='LoadImage', HOOKS='NextStepsHook',
    OPTIM_WRAPPERS='CpuAmpOptimWrapper', RUNNERS='FlexibleRunner', STRATEGIES='FSDPStrategy',
    OPTIM_WRAPPER_CONSTRUCTORS='LayerDecayOptimWrapperConstructor', METRICS='ReaLAccuracy')
for registry, name in names.items():
    print(getattr(root, registry).get(f'mmvsa.{name}').__module__)
"""
    found = [line for line in run_python(code).splitlines() if line.startswith('mmvsa.')]
    assert len(found) == 9


def test_get_model_is_the_first_import() -> None:
    code = """
import mmvsa
assert {'get_model', 'models'} <= set(dir(mmvsa))
model = mmvsa.get_model('vitaev2-s-vsa', num_classes=3, backbone=dict(arch='s'))
print(type(model).__name__, model.head.fc.out_features, mmvsa.models.ViTAEv2.__name__)
"""
    assert run_python(code).splitlines()[-1] == 'ImageClassifier 3 ViTAEv2'


def test_unknown_attributes_are_errors() -> None:
    with pytest.raises(AttributeError, match="'mmvsa' has no attribute 'get_models'"):
        mmvsa.get_models  # noqa: B018


@pytest.mark.parametrize('order', ['mmpretrain, mmvsa', 'mmvsa, mmpretrain'])
def test_mmpretrain_by_name(order: str) -> None:
    """Whichever of the two is imported first."""
    code = f"""
import {order}, torch
with torch.device('meta'):
    model = mmpretrain.get_model('vitaev2-s-vsa_8xb128_in1k')
print(type(model.backbone).__name__)
"""
    assert run_python(code).splitlines()[-1] == 'ViTAEv2'


@pytest.mark.parametrize(
    ('package', 'name'),
    [
        ('mmdet', 'configs/mask_rcnn/mask-rcnn_vitaev2-s-vsa_fpn_ms-1x_coco.py'),
        ('mmseg', 'configs/upernet/upernet_vitaev2-s-vsa_8xb2-160k_ade20k-512x512.py'),
    ],
)
def test_our_configs_need_no_tool_of_ours(package: str, name: str) -> None:
    """They load where only MMEngine and the host package have been imported."""
    code = (
        f'import sys, {package}\n'
        'from mmengine.config import Config\n'
        'assert "mmvsa" not in sys.modules\n'
        f'print(Config.fromfile({name!r}).model.backbone.arch)'
    )
    assert 's-vsa' in run_command(sys.executable, '-c', code)


@pytest.mark.parametrize(
    'name',
    [
        'mask_rcnn/mask-rcnn_vitaev2-s-vsa_fpn_ms-1x_coco.py',
        'upernet/upernet_vitaev2-s-vsa_8xb2-160k_ade20k-512x512.py',
        'quickstart/mask-rcnn_vitaev2-vsa-nano_digit-scenes.py',
        'quickstart/fcn_vitaev2-vsa-nano_digit-scenes.py',
        'oriented_rcnn/oriented-rcnn-le90_rvsa-vit-b_fpn_1x_dota-ms.py',
        'topdown_heatmap/td-hm_vitaev2-s_8xb64-210e_coco-256x192.py',
    ],
)
@needs_installation
def test_a_config_of_ours_as_base(name: str, tmp_path: Path) -> None:
    """Every part builds though MMEngine gives the parts of a base the scope of its package."""
    require_host_of(ROOT / 'configs' / name)
    root = write_tiny_scenes(tmp_path)
    (tmp_path / 'mine.py').write_text(f"_base_ = __import__('mmvsa') and ['mmvsa::{name}']\n")
    cfg = Config.fromfile(tmp_path / 'mine.py')
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):
        backbone = MODELS.build(cfg.model).backbone
    assert type(backbone).__name__ == cfg.model.backbone.type.removeprefix('mmvsa.')
    VISUALIZERS.build(cfg.visualizer)
    for hook in cfg.default_hooks.values():
        HOOKS.build(hook)
    DATASETS.build(dict(cfg.train_dataloader.dataset, lazy_init=True))
    if 'digit-scenes' in name:
        use_data_root(cfg, str(root))
        assert len(DATASETS.build(cfg.train_dataloader.dataset)[0]['inputs']) == 3
        METRICS.build(cfg.val_evaluator)
