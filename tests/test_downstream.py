"""Detectors and segmentors on the backbones: real configs at a small size, and bad input."""

import json
import shutil
import socket
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import pytest
import torch
from helpers.cli import ROOT, run_command
from helpers.scenes import DETECTION, SEGMENTATION, SETTINGS, tiny_config, write_tiny_scenes
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DATASETS, METRICS, MODELS, init_default_scope
from torch import nn

from mmvsa.utils import load_config

# One config for each task and backbone.
CONFIGS = [
    *(
        f'mask_rcnn/mask-rcnn_vitaev2-{arch}_fpn_ms-3x_coco.py'
        for arch in ('s', 's-vsa', '48m-vsa')
    ),
    *(
        f'cascade_rcnn/cascade-mask-rcnn_vitaev2-{arch}_fpn_giou-4conv1f_ms-3x_coco.py'
        for arch in ('s', 's-vsa', '48m-vsa')
    ),
    *(f'retinanet/retinanet_vitaev2-{arch}_fpn_1x_coco.py' for arch in ('s', 's-vsa', '48m-vsa')),
    *(
        f'upernet/upernet_vitaev2-{arch}_8xb2-160k_ade20k-512x512.py'
        for arch in ('s', 's-vsa', 's-window')
    ),
    *(f'mask_rcnn/mask-rcnn_{name}_fpn_ms-1x_coco.py' for name in ('swin-t-vsa', 'qformer-t')),
    *(
        f'cascade_rcnn/cascade-mask-rcnn_{name}_fpn_giou-4conv1f_ms-1x_coco.py'
        for name in ('swin-t-vsa', 'qformer-t')
    ),
    *(
        f'upernet/upernet_{name}_8xb2-160k_ade20k-512x512.py'
        for name in ('swin-t-vsa', 'qformer-t')
    ),
    'upernet/upernet_rvsa-vit-b_4xb2-160k_potsdam-512x512.py',
    'upernet/upernet_rvsa-vitae-b-kvdiff_4xb2-160k_loveda-512x512.py',
]


@pytest.fixture(scope='module')
def root(tmp_path_factory) -> Path:
    return write_tiny_scenes(tmp_path_factory.mktemp('scenes'))


@pytest.fixture
def own_root(root: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return shutil.copytree(root, tmp_path / 'scenes')


def build(cfg: Config) -> nn.Module:
    init_default_scope(cfg.default_scope)
    return revert_sync_batchnorm(MODELS.build(cfg.model)).train()


def losses(model: nn.Module, samples: list[dict]) -> torch.Tensor:
    """Sum of the losses, after the backward pass."""
    data = model.data_preprocessor(pseudo_collate(samples), True)
    total, _ = model.parse_losses(model(**data, mode='loss'))
    total.backward()
    return total


def samples_for(cfg: Config, root: Path) -> list[dict]:
    """Two scenes as the dataset of the quickstart of that task gives them."""
    path = DETECTION if cfg.default_scope == 'mmdet' else SEGMENTATION
    dataset_cfg = tiny_config(path, root).val_dataloader.dataset
    (resize,) = (step for step in dataset_cfg.pipeline if step.type == 'Resize')
    resize.scale = (SETTINGS.size, SETTINGS.size)
    dataset = DATASETS.build(dataset_cfg)
    return [dataset[0], dataset[1]]


def make_small(cfg: Config) -> None:
    """Fewer proposals, unpadded images, classes for the scenes; the backbone stays as it is."""
    if cfg.default_scope == 'mmseg':
        cfg.model.data_preprocessor.update(size=None, size_divisor=32)
        for head in (cfg.model.decode_head, cfg.model.auxiliary_head):
            head.num_classes = max(head.num_classes, 11)
    if 'roi_head' in cfg.model:
        cfg.model.train_cfg.rpn_proposal.max_per_img = 16
        stages = cfg.model.train_cfg.rcnn
        for stage in stages if isinstance(stages, list) else [stages]:
            stage.sampler.num = 16


@pytest.mark.parametrize('name', CONFIGS)
def test_forward_and_loss(name: str, root: Path) -> None:
    cfg = load_config(ROOT / 'configs' / name)
    make_small(cfg)
    model = build(cfg)
    loss = losses(model, samples_for(cfg, root))
    assert loss.isfinite()
    unused = [n for n, p in model.backbone.named_parameters() if p.grad is None]
    assert not unused
    assert any(p.grad.abs().sum() > 0 for p in model.backbone.parameters())


@pytest.mark.parametrize('name', [*CONFIGS[1:12:3], *CONFIGS[12:18:2]])
def test_weight_decay(name: str) -> None:
    """No decay on norms, biases of position and relative position tables."""
    from mmengine.optim import build_optim_wrapper

    cfg = load_config(ROOT / 'configs' / name)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    decays = {id(group['params'][0]): group['weight_decay'] for group in groups}
    names = dict(model.backbone.named_parameters())
    free = {n for n, p in names.items() if decays[id(p)] == 0}
    assert {n for n in names if 'relative_position_bias_table' in n} <= free
    assert {n for n in names if 'norm' in n.split('.')[-2]} <= free
    assert not any(n.endswith('qkv.weight') for n in free)


@pytest.mark.parametrize(
    ('path', 'drop_path', 'weight_decay'),
    [
        ('mask_rcnn/mask-rcnn_vitaev2-s_fpn_ms-1x', 0.1, 0.045),
        ('mask_rcnn/mask-rcnn_vitaev2-s_fpn_ms-3x', 0.1, 0.05),
        ('mask_rcnn/mask-rcnn_vitaev2-s-vsa_fpn_ms-1x', 0.1, 0.05),
        ('mask_rcnn/mask-rcnn_vitaev2-s-vsa_fpn_ms-3x', 0.25, 0.05),
        ('mask_rcnn/mask-rcnn_vitaev2-48m-vsa_fpn_ms-3x', 0.35, 0.05),
        ('cascade_rcnn/cascade-mask-rcnn_vitaev2-s_fpn_giou-4conv1f_ms-1x', 0.1, 0.045),
        ('cascade_rcnn/cascade-mask-rcnn_vitaev2-s_fpn_giou-4conv1f_ms-3x', 0.1, 0.05),
        ('cascade_rcnn/cascade-mask-rcnn_vitaev2-s-vsa_fpn_giou-4conv1f_ms-1x', 0.05, 0.05),
        ('cascade_rcnn/cascade-mask-rcnn_vitaev2-s-vsa_fpn_giou-4conv1f_ms-3x', 0.25, 0.05),
        ('cascade_rcnn/cascade-mask-rcnn_vitaev2-48m-vsa_fpn_giou-4conv1f_ms-3x', 0.45, 0.05),
        ('retinanet/retinanet_vitaev2-s-vsa_fpn_1x', 0.15, 0.05),
        ('mask_rcnn/mask-rcnn_swin-t-vsa_fpn_ms-1x', 0.1, 0.05),
        ('mask_rcnn/mask-rcnn_swin-t-vsa_fpn_ms-3x', 0.2, 0.05),
        ('mask_rcnn/mask-rcnn_qformer-t_fpn_ms-1x', 0.1, 0.05),
        ('mask_rcnn/mask-rcnn_qformer-t_fpn_ms-3x', 0.25, 0.05),
        ('mask_rcnn/mask-rcnn_qformer-s_fpn_ms-3x', 0.35, 0.05),
        ('mask_rcnn/mask-rcnn_qformer-b_fpn_ms-3x', 0.4, 0.05),
        ('cascade_rcnn/cascade-mask-rcnn_swin-t-vsa_fpn_giou-4conv1f_ms-1x', 0.0, 0.05),
        ('cascade_rcnn/cascade-mask-rcnn_swin-t-vsa_fpn_giou-4conv1f_ms-3x', 0.2, 0.05),
        ('cascade_rcnn/cascade-mask-rcnn_qformer-t_fpn_giou-4conv1f_ms-1x', 0.15, 0.05),
        ('cascade_rcnn/cascade-mask-rcnn_qformer-t_fpn_giou-4conv1f_ms-3x', 0.3, 0.05),
        ('cascade_rcnn/cascade-mask-rcnn_qformer-s_fpn_giou-4conv1f_ms-3x', 0.32, 0.05),
        ('cascade_rcnn/cascade-mask-rcnn_qformer-b_fpn_giou-4conv1f_ms-3x', 0.4, 0.05),
    ],
)
def test_recipe(path: str, drop_path: float, weight_decay: float) -> None:
    """What the official files say, written down again."""
    cfg = load_config(ROOT / f'configs/{path}_coco.py')
    assert cfg.model.backbone.drop_path_rate == drop_path
    optimizer = dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=weight_decay)
    assert cfg.optim_wrapper.optimizer == optimizer
    epochs, milestones = (36, [27, 33]) if '3x' in path else (12, [8, 11])
    assert cfg.train_cfg.max_epochs == cfg.param_scheduler[1].end == epochs
    assert cfg.param_scheduler[1].milestones == milestones
    assert cfg.train_dataloader.batch_size * 8 == cfg.auto_scale_lr.base_batch_size == 16
    if 'qformer' in path:
        assert cfg.model.backbone.attention.transform.coords_lambda == 1e-5


@pytest.mark.parametrize('iterations', [40, 80])
def test_segmentation_recipe(iterations: int) -> None:
    name = f'upernet/upernet_vitaev2-s-vsa_4xb2-{iterations}k_cityscapes-512x1024.py'
    cfg = load_config(ROOT / 'configs' / name)
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[1].end == iterations * 1000
    assert cfg.optim_wrapper.optimizer.lr == 6e-5
    assert cfg.param_scheduler[0].end == 1500
    assert cfg.tta_model.type == 'SegTTAModel' and cfg.tta_pipeline


@pytest.mark.parametrize(
    ('data', 'side', 'classes'), [('potsdam', 512, 5), ('isaid', 896, 16), ('loveda', 512, 7)]
)
def test_aerial_recipe(data: str, side: int, classes: int) -> None:
    """What the official files say, written down again."""
    name = f'upernet_rvsa-vitae-b-kvdiff_4xb2-160k_{data}-{side}x{side}.py'
    cfg = load_config(ROOT / 'configs/upernet' / name)
    backbone, optimizer = cfg.model.backbone, cfg.optim_wrapper.optimizer
    assert (backbone.img_size, backbone.drop_path_rate) == (side, 0.1)
    assert list(backbone.out_indices) == [3, 5, 7, 11] and not backbone.final_norm
    assert (optimizer.lr, optimizer.weight_decay) == (6e-5, 0.05)
    assert cfg.optim_wrapper.paramwise_cfg.layer_decay_rate == 0.9
    assert cfg.model.decode_head.num_classes == cfg.model.auxiliary_head.num_classes == classes
    assert cfg.train_dataloader.batch_size == 2 and cfg.train_cfg.max_iters == 160000
    assert cfg.model.test_cfg.mode == ('whole' if data == 'isaid' else 'slide')


POTSDAM = 'configs/upernet/upernet_rvsa-vit-b_4xb2-160k_potsdam-512x512.py'


def potsdam_dataset(cfg: ConfigDict, root: Path, folder: str, labels: np.ndarray) -> Any:
    """The dataset of a config on one image with the given labels in ``folder``."""
    for kind, content in (('img', np.zeros((*labels.shape, 3), np.uint8)), ('ann', labels)):
        (root / f'{kind}_dir' / folder).mkdir(parents=True)
        cv2.imwrite(str(root / f'{kind}_dir' / folder / 'a.png'), content.astype(np.uint8))
    init_default_scope('mmseg')
    return DATASETS.build(cfg.copy() | dict(data_root=str(root)))


def labels_of(sample: dict) -> list[int]:
    return np.unique(sample['data_samples'].gt_sem_seg.data).tolist()


@pytest.mark.parametrize(
    ('official', 'labels'), [(True, [0, 1, 4, 5]), (False, [1, 2, 5, 6]), (False, [0, 1, 2, 5])]
)
def test_potsdam_ignores_clutter(official: bool, labels: list[int], tmp_path: Path) -> None:
    """Five classes train; clutter and what has no label become 255, in files of both kinds."""
    cfg = load_config(ROOT / POTSDAM).val_dataloader.dataset
    cfg.reduce_zero_label = cfg.reduce_zero_label or not official
    dataset = potsdam_dataset(cfg, tmp_path, 'val', np.array([labels] * 4))
    assert labels_of(dataset[0]) == [0, 1, 4, 255]


def test_potsdam_crops_count_clutter(tmp_path: Path) -> None:
    """As in the official code, so that a crop of half clutter and half road is taken at once."""
    cfg = load_config(ROOT / POTSDAM).train_dataloader.dataset
    (crop,) = [index for index, step in enumerate(cfg.pipeline) if step.type == 'RandomCrop']
    cfg.pipeline[crop].crop_size = (8, 8)
    cfg.pipeline[crop - 1].update(scale=(16, 16), ratio_range=(1.0, 1.0))
    cfg.pipeline = [*cfg.pipeline[: crop + 1], cfg.pipeline[-1]]
    rows = np.full((16, 16), 5)
    rows[::2] = 0
    rows[:2] = 1
    dataset = potsdam_dataset(cfg, tmp_path, 'train', rows)
    with patch.object(np.random, 'randint', side_effect=[6, 6]):  # a second place would raise
        assert labels_of(dataset[0]) == [0, 255]


def test_potsdam_tests_whole_images(tmp_path: Path) -> None:
    """An image of `val_all` enters at its own size and is predicted window by window."""
    cfg = load_config(ROOT / POTSDAM)
    dataset = potsdam_dataset(
        cfg.test_dataloader.dataset, tmp_path, 'val_all', np.tile([0, 1, 2, 5], (600, 175))
    )
    data = pseudo_collate([dataset[0]])
    windows = []
    cfg.model.backbone = dict(type='mmvsa.ViTAEv2', arch='s', out_indices=(0, 1, 2, 3))
    cfg.model.decode_head.in_channels = [64, 128, 256, 512]
    cfg.model.auxiliary_head = None
    model = build(cfg).eval()

    def predict(inputs: torch.Tensor, metas: list[dict]) -> torch.Tensor:
        windows.append(tuple(inputs.shape[2:]))
        return torch.eye(5)[0].view(1, 5, 1, 1).expand(-1, -1, *inputs.shape[2:])

    with patch.object(model, 'encode_decode', predict):
        (result,) = model.test_step(data)
    assert windows == [(512, 512)] * 4
    assert result.pred_sem_seg.data.shape == (1, 600, 700)
    metric = METRICS.build(cfg.test_evaluator)
    metric.dataset_meta = dataset.metainfo
    metric.process({}, [result.to_dict()])
    scores = metric.evaluate(1)
    # Of the pixels that count, a third is the class that is predicted everywhere. mmseg's mean F1
    # leaves out classes that are never predicted.
    assert scores['aAcc'] == pytest.approx(33.33) and scores['mFscore'] == pytest.approx(50.0)


def test_multi_scale_crops() -> None:
    cfg = load_config(ROOT / 'configs' / CONFIGS[0])
    whole, cropped = cfg.train_dataloader.dataset.pipeline[3].transforms
    assert [scale[0] for scale in whole[0].scales] == list(range(480, 801, 32))
    assert [step.type for step in cropped] == [
        'RandomChoiceResize',
        'RandomCrop',
        'RandomChoiceResize',
    ]
    assert cropped[1].crop_size == (384, 600)


@pytest.mark.parametrize('window_size', [None, 6])
def test_starts_from_a_classifier(window_size: int | None, tmp_path: Path, capfd) -> None:
    """A classifier's file loads into a detector; another window resizes the tables, and says so."""
    from mmengine.logging import MMLogger

    MMLogger.get_instance('test_downstream').setLevel('INFO')
    init_default_scope('mmdet')
    cfg = load_config(DETECTION)
    source = MODELS.build(cfg.model.backbone)
    state = {
        f'backbone.{k}': torch.randn_like(v) if v.is_floating_point() else v
        for k, v in source.state_dict().items()
    }
    torch.save(
        dict(state_dict={**state, 'head.fc.weight': torch.zeros(10, 128)}), tmp_path / 'c.pth'
    )
    if window_size is not None:
        cfg.model.backbone.arch.window_size = window_size
    cfg.model.backbone.init_cfg = dict(
        type='Pretrained', checkpoint=str(tmp_path / 'c.pth'), prefix='backbone.'
    )
    model = MODELS.build(cfg.model)
    model.init_weights()
    key = next(k for k in source.state_dict() if k.endswith('qkv.weight'))
    assert (model.backbone.state_dict()[key] == state[f'backbone.{key}']).all()
    output = ''.join(capfd.readouterr())
    assert ('resized' in output) == (window_size is not None)


def test_checkpointing_keeps_fewer_tensors() -> None:
    """Bytes kept for the backward pass, without and with ``with_cp``."""
    kept = []
    for with_cp in (False, True):
        backbone = MODELS.build(dict(type='mmvsa.ViTAEv2', arch='s', with_cp=with_cp)).train()
        storages = {}

        def pack(tensor: torch.Tensor, storages=storages) -> torch.Tensor:
            storage = tensor.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
            return tensor

        own = {p.untyped_storage().data_ptr() for p in backbone.parameters()}
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            backbone(torch.randn(1, 3, 128, 128))
        kept.append(sum(size for pointer, size in storages.items() if pointer not in own))
    assert kept[1] < 0.3 * kept[0]


def test_two_processes(root: Path, tmp_path: Path) -> None:
    """The detection quickstart, trained and validated by two processes over gloo."""
    config = tmp_path / 'two.py'
    config.write_text(
        f'_base_ = [{str(DETECTION)!r}]\n'
        'model = dict(backbone=dict(init_cfg=None), test_cfg=dict(rcnn=dict(score_thr=0.0)))\n'
        'train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False)\n'
        'val_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False)\n'
        'train_cfg = dict(max_epochs=1, val_interval=1)\n'
    )
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    output = run_command(
        ROOT / 'tools/dist_train.sh',
        config,
        2,
        '--work-dir',
        tmp_path / 'work',
        '--cfg-options',
        f'data_root={root}',
        PORT=str(port),
    )
    assert 'coco/segm_mAP' in output and (tmp_path / 'work/epoch_1.pth').is_file()


# Bad input: what the host package does, never a crash inside the backbone.


@pytest.mark.parametrize('size', [(1, 1), (20, 900), (33, 7)])
@pytest.mark.parametrize('arch', ['s', 's-window', 's-vsa'])
def test_images_of_any_size(size: tuple[int, int], arch: str) -> None:
    backbone = MODELS.build(dict(type='mmvsa.ViTAEv2', arch=arch, out_indices=(0, 1, 2, 3))).eval()
    with torch.no_grad():
        outputs = backbone(torch.randn(1, 3, *size))
    strides = (4, 8, 16, 32)
    for output, stride in zip(outputs, strides, strict=True):
        assert output.shape[2:] == tuple(-(-length // stride) for length in size)
        assert output.isfinite().all()


@pytest.mark.parametrize('path', [DETECTION, SEGMENTATION], ids=['detection', 'segmentation'])
@pytest.mark.parametrize('size', [(1, 1), (20, 900)])
def test_predicts_on_images_of_any_size(path: Path, size: tuple[int, int]) -> None:
    cfg = load_config(path)
    model = build(cfg).eval()
    if cfg.default_scope == 'mmdet':
        from mmdet.structures import DetDataSample as Sample
    else:
        from mmseg.structures import SegDataSample as Sample
    sample = Sample(
        metainfo=dict(img_shape=size, ori_shape=size, pad_shape=size, scale_factor=(1.0, 1.0))
    )
    image = torch.randint(0, 256, (3, *size), dtype=torch.uint8)
    with torch.no_grad():
        (result,) = model.test_step(dict(inputs=[image], data_samples=[sample]))
    if cfg.default_scope == 'mmseg':
        assert result.pred_sem_seg.data.shape == (1, *size)
    else:
        assert result.pred_instances.masks.shape[1:] == size


def edit_annotations(root: Path, edit) -> None:
    path = root / 'annotations/instances_train.json'
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def detection_dataset(root: Path, **options):
    init_default_scope('mmdet')
    cfg = dict(
        type='CocoDataset',
        data_root=str(root),
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img='images/train'),
        metainfo=dict(classes=tuple('0123456789')),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=tiny_config(DETECTION, root).train_dataloader.dataset.pipeline,
    )
    return DATASETS.build(dict(cfg, **options))


def test_image_without_objects(own_root: Path) -> None:
    def empty_first(content: dict) -> None:
        content['annotations'] = [a for a in content['annotations'] if a['image_id'] != 0]

    edit_annotations(own_root, empty_first)
    assert len(detection_dataset(own_root)) == SETTINGS.num - 1
    dataset = detection_dataset(own_root, filter_cfg=None)
    samples = [dataset[0]]
    assert len(samples[0]['data_samples'].gt_instances) == 0
    assert losses(build(load_config(DETECTION)), samples).isfinite()


def test_box_outside_the_image(own_root: Path) -> None:
    def move_out(content: dict) -> None:
        content['annotations'][0]['bbox'] = [500, 500, 20, 20]
        content['annotations'][1]['bbox'][0] = -10

    edit_annotations(own_root, move_out)
    dataset = detection_dataset(own_root)
    content = json.loads((own_root / 'annotations/instances_train.json').read_text())
    of_first = sum(a['image_id'] == 0 for a in content['annotations'])
    samples = [dataset[0], dataset[1]]
    assert len(samples[0]['data_samples'].gt_instances) == of_first - 1
    assert losses(build(load_config(DETECTION)), samples).isfinite()


def test_class_missing(own_root: Path) -> None:
    """A file without one of the config's classes: its labels close up, as mmdet does."""

    def drop_nine(content: dict) -> None:
        content['categories'] = content['categories'][:9]
        content['annotations'] = [a for a in content['annotations'] if a['category_id'] != 9]

    edit_annotations(own_root, drop_nine)
    dataset = detection_dataset(own_root)
    assert len(dataset.cat_ids) == 9
    assert losses(build(load_config(DETECTION)), [dataset[0], dataset[1]]).isfinite()


def test_instance_mask_of_another_size(own_root: Path) -> None:
    def shrink(content: dict) -> None:
        content['annotations'][0]['segmentation'] = dict(size=[10, 10], counts=[20, 30, 50])

    edit_annotations(own_root, shrink)
    dataset = detection_dataset(own_root)
    with pytest.raises(ValueError, match='same shape'):  # mmdet's, when it collects the masks
        dataset[0]


def spoil_semantic_map(root: Path, edit) -> list[dict]:
    path = str(root / 'semantic/val/000000.png')
    cv2.imwrite(path, edit(cv2.imread(path, cv2.IMREAD_UNCHANGED)))
    init_default_scope('mmseg')
    dataset = DATASETS.build(tiny_config(SEGMENTATION, root).val_dataloader.dataset)
    return [dataset[0], dataset[1]]


def mark(value: int):
    def edit(labels: np.ndarray) -> np.ndarray:
        labels[:20] = value
        return labels

    return edit


def test_ignored_label(own_root: Path) -> None:
    samples = spoil_semantic_map(own_root, mark(255))
    assert losses(build(load_config(SEGMENTATION)), samples).isfinite()


def test_unknown_label(own_root: Path) -> None:
    samples = spoil_semantic_map(own_root, mark(57))
    with pytest.raises((IndexError, RuntimeError), match='57|out of bounds'):  # PyTorch's
        losses(build(load_config(SEGMENTATION)), samples)


def test_semantic_map_of_another_size(own_root: Path) -> None:
    samples = spoil_semantic_map(own_root, lambda labels: labels[:50, :60].copy())
    cfg = load_config(SEGMENTATION)
    with pytest.raises((RuntimeError, AssertionError)):  # mmseg's, when it stacks the maps
        losses(build(cfg), samples)
