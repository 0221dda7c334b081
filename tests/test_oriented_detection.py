"""Oriented R-CNN and S2ANet of mmrotate on RVSA and ViTAEv2: data, losses, recipes, tools."""

import multiprocessing.dummy
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers.archs import VITAEV2, has_separate_windows, narrow_rvsa
from helpers.cli import ROOT, run_tool
from helpers.hosts import assert_backbone_trains, require_host, train_step, without_workers
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, METRICS, MODELS, init_default_scope
from torch import nn

from mmvsa.models.layers import WindowAttention
from mmvsa.utils import load_config, use_data_root

require_host('mmrotate')

STEM = 'oriented-rcnn-le90_rvsa-{}_fpn_1x_{}.py'
CONFIGS = [
    STEM.format(arch, data)
    for arch in ('vit-b', 'vit-b-kvdiff', 'vitae-b', 'vitae-b-kvdiff')
    for data in ('dota', 'dota-ms')
]
DIOR = [
    STEM.format(arch, 'dior') for arch in ('vit-b', 'vit-b-kvdiff', 'vitae-b', 'vitae-b-kvdiff')
]
MTP = 'oriented-rcnn-le90_rvsa-vit-{}_mtp-pre_fpn_{}.py'
MTP_DOTA = [MTP.format(size, data) for size in 'bl' for data in ('1x_dota-ms', '40e_dota-v2')]
MTP_DIOR = [MTP.format(size, '1x_dior') for size in 'bl']
MTP_FAIR1M = [MTP.format(size, '1x_fair1m') for size in 'bl']
RSP_DOTA = 'oriented-rcnn-le90_vitaev2-s_rsp-pre_fpn_1x_dota.py'
RSP_HRSC = 'oriented-rcnn-le90_vitaev2-s_rsp-pre_fpn_3x_hrsc.py'
S2ANET = 's2anet-le90_vitaev2-s_rsp-pre_fpn_1x_dota.py'
SIZE = 128


def oriented_config(name: str) -> Config:
    return load_config(ROOT / 'configs' / ('s2anet' if name == S2ANET else 'oriented_rcnn') / name)


def draw_tile(index: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A tile with a ship turned by some angle and an upright tank; name -> four corners."""
    rng = np.random.RandomState(index)
    tile = rng.randint(0, 60, (SIZE, SIZE, 3), dtype=np.uint8)
    ship = cv2.boxPoints(((40.0 + index, 44.0), (48.0, 18.0), 30.0 * index))
    tank = cv2.boxPoints(((96.0, 90.0), (24.0, 24.0), 0.0))
    for corners, color in ((ship, (40, 80, 220)), (tank, (200, 200, 40))):
        cv2.fillPoly(tile, [corners.round().astype(np.int32)], color)
    return tile, {'ship': ship, 'storage-tank': tank}


def write_tiny_dota(root: Path, count: int = 4, **names: str) -> Path:
    """Tiles as DOTA's are stored; ship= and tank= are other names of the classes."""
    images, labels = root / 'trainval/images', root / 'trainval/annfiles'
    images.mkdir(parents=True)
    labels.mkdir()
    for index in range(count):
        tile, objects = draw_tile(index)
        cv2.imwrite(str(images / f'P{index:04d}.png'), tile)
        lines = [
            ' '.join(
                [
                    *(f'{value:.1f}' for value in corners.flatten()),
                    names.get(name.rpartition('-')[2], name),
                    '0',
                ]
            )
            for name, corners in objects.items()
        ]
        (labels / f'P{index:04d}.txt').write_text('\n'.join(lines) + '\n')
    return root


def write_tiny_dior(root: Path) -> Path:
    """Images as DIOR-R's are stored: four corners in XML."""
    names = [
        f'{side}_{edge}'
        for edge in ('left_top', 'right_top', 'right_bottom', 'left_bottom')
        for side in 'xy'
    ]
    boxes = root / 'Annotations/Oriented Bounding Boxes'
    for folder in (boxes, root / 'ImageSets/Main'):
        folder.mkdir(parents=True)
    for index, split in enumerate(('trainval', 'trainval', 'test')):
        tile, objects = draw_tile(index)
        (root / f'JPEGImages-{split}').mkdir(exist_ok=True)
        cv2.imwrite(str(root / f'JPEGImages-{split}/{index:05d}.jpg'), tile)
        with (root / f'ImageSets/Main/{split}.txt').open('a') as images:
            images.write(f'{index:05d}\n')
        found = ''
        for name, corners in objects.items():
            values = zip(names, corners.flatten(), strict=True)
            box = ''.join(f'<{key}>{value:.0f}</{key}>' for key, value in values)
            found += (
                f'<object><name>{name.replace("-", "")}</name><robndbox>{box}</robndbox></object>'
            )
        size = f'<size><width>{SIZE}</width><height>{SIZE}</height></size>'
        (boxes / f'{index:05d}.xml').write_text(f'<annotation>{size}{found}</annotation>')
    return root


def write_tiny_hrsc(root: Path) -> Path:
    """Images as HRSC2016's are stored: center, sides and angle in XML."""
    data = root / 'FullDataSet'
    for folder in (data / 'AllImages', data / 'Annotations', root / 'ImageSets'):
        folder.mkdir(parents=True)
    for index, split in enumerate(('trainval', 'trainval', 'test')):
        tile, _ = draw_tile(index)
        cv2.imwrite(str(data / f'AllImages/{index:09d}.bmp'), tile)
        with (root / f'ImageSets/{split}.txt').open('a') as images:
            images.write(f'{index:09d}\n')
        box = dict(mbox_cx=40.0 + index, mbox_cy=44, mbox_w=48, mbox_h=18, header_x=1, header_y=1)
        box['mbox_ang'] = np.deg2rad(30.0 * index)
        ship = ''.join(f'<{key}>{value}</{key}>' for key, value in box.items())
        (data / f'Annotations/{index:09d}.xml').write_text(
            f'<HRSC_Image><Img_SizeWidth>{SIZE}</Img_SizeWidth><HRSC_Objects><HRSC_Object>{ship}'
            '</HRSC_Object></HRSC_Objects></HRSC_Image>'
        )
    return root


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_dota(tmp_path_factory.mktemp('dota'))


def small_config(name: str, root: Path) -> Config:
    """A config on the tiny tiles: a narrow backbone, few proposals; the rest stays."""
    cfg = oriented_config(name)
    use_data_root(cfg, str(root))
    without_workers(cfg, batch_size=2)
    for loader in filter(None, (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader)):
        for step in loader.dataset.pipeline:
            if step.type == 'mmdet.Resize':
                step.scale = (SIZE, SIZE)
    cfg.model.backbone.init_cfg = None
    if cfg.model.backbone.type == 'mmvsa.RVSA':
        cfg.model.neck.in_channels = [narrow_rvsa(cfg.model.backbone, SIZE)] * 4
    else:
        cfg.model.backbone.arch = {**VITAEV2, 'attention': ('window', 'window', 'full', 'full')}
        widths = VITAEV2['token_dims']
        cfg.model.neck.in_channels = [widths[i] for i in cfg.model.backbone.out_indices]
    cfg.model.data_preprocessor.pad_size_divisor = 32
    if 'rpn_head' in cfg.model:
        cfg.model.train_cfg.rpn_proposal.max_per_img = 32
        cfg.model.test_cfg.rpn.max_per_img = 32
        cfg.model.train_cfg.rcnn.sampler.num = 16
    return cfg


def test_data_set_reads_the_corners(root: Path) -> None:
    """A turned ship and an upright tank, as boxes of center, sides and angle."""
    cfg = small_config(CONFIGS[0], root)
    init_default_scope(cfg.default_scope)
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    assert type(dataset).__name__ == 'DOTADataset' and len(dataset) == 4
    (sample,) = (
        dataset[i] for i in range(4) if dataset[i]['data_samples'].img_path.endswith('P0001.png')
    )
    boxes = sample['data_samples'].gt_instances
    assert sample['inputs'].shape == (3, SIZE, SIZE)
    assert [dataset.metainfo['classes'][i] for i in boxes.labels] == ['ship', 'storage-tank']
    ship = boxes.bboxes.tensor[0]
    assert ship[:4].tolist() == pytest.approx([41, 44, 48, 18], abs=0.5)
    assert float(ship[4]) == pytest.approx(np.pi / 6, abs=0.02)


def loss_on(name: str, root: Path) -> dict[str, float]:
    """The losses on two training images, after a backward pass that reaches the backbone."""
    cfg = small_config(name, root)
    init_default_scope(cfg.default_scope)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    model, losses = train_step(cfg, [dataset[0], dataset[1]])
    assert all(np.isfinite(value) for value in losses.values())
    assert_backbone_trains(model)
    return losses


@pytest.mark.parametrize('name', [*CONFIGS, RSP_DOTA, *MTP_DOTA])
def test_loss(name: str, root: Path) -> None:
    losses = loss_on(name, root)
    assert {'loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox'} <= losses.keys()
    assert losses['loss_rpn_bbox'] > 0


def test_loss_of_s2anet(root: Path) -> None:
    """Two heads, of which the second one classifies turned anchors."""
    losses = loss_on(S2ANET, root)
    heads = ('init', 'refine_0')
    assert {f'loss_{kind}_{head}' for kind in ('cls', 'bbox') for head in heads} <= losses.keys()
    assert all(losses[f'loss_bbox_{head}'] > 0 for head in heads)


def test_s2anet_predicts(root: Path) -> None:
    cfg = small_config(S2ANET, root)
    init_default_scope(cfg.default_scope)
    cfg.model.test_cfg.update(nms_pre=20, score_thr=0.0)
    sample = DATASETS.build(cfg.test_dataloader.dataset)[0]
    (result,) = MODELS.build(cfg.model).eval().test_step(pseudo_collate([sample]))
    boxes = result.pred_instances.bboxes
    assert boxes.shape[1] == 5 and len(boxes) > 0 and boxes.isfinite().all()


@pytest.mark.parametrize('name', [DIOR[0], DIOR[3], RSP_HRSC, *MTP_DIOR])
def test_loss_on_other_data(name: str, tmp_path: Path) -> None:
    """DIOR-R and HRSC2016 through the config's own dataset; the boxes are those drawn."""
    write = write_tiny_hrsc if 'hrsc' in name else write_tiny_dior
    root = write(tmp_path / 'data')
    assert loss_on(name, root)['loss_rpn_bbox'] > 0
    cfg = small_config(name, root)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    assert len(dataset) == 1
    boxes = dataset[0]['data_samples'].gt_instances
    classes = [dataset.metainfo['classes'][i] for i in boxes.labels]
    assert classes == (['ship'] if 'hrsc' in name else ['ship', 'storagetank'])
    assert boxes.bboxes.tensor[0, :4].tolist() == pytest.approx([42, 44, 48, 18], abs=1)
    assert float(boxes.bboxes.tensor[0, 4]) == pytest.approx(np.pi / 3, abs=0.05)


@pytest.mark.parametrize('name', MTP_FAIR1M)
def test_fair1m(name: str, tmp_path: Path) -> None:
    """A loss on its 37 classes, and what a test writes for the server, which knows the labels."""
    root = write_tiny_dota(tmp_path / 'data', ship='Warship', tank='Roundabout')
    assert loss_on(name, root)['loss_rpn_bbox'] > 0
    cfg = small_config(name, root)
    classes = DATASETS.build(cfg.train_dataloader.dataset).metainfo['classes']
    assert len(classes) == cfg.model.roi_head.bbox_head.num_classes == 37
    images = root / 'test/images'
    images.mkdir(parents=True)
    cv2.imwrite(str(images / 'P1__800__0___0.png'), draw_tile(1)[0])
    cfg.model.test_cfg.rcnn.update(score_thr=0.0, max_per_img=8)
    cfg.test_evaluator.outfile_prefix = str(tmp_path / 'submission')
    checkpoint, config = tmp_path / 'epoch_12.pth', tmp_path / 'small.py'
    torch.save({'state_dict': MODELS.build(cfg.model).state_dict()}, checkpoint)
    cfg.dump(config)
    run_tool('test', config, checkpoint, '--work-dir', tmp_path / 'work')
    (written,) = tmp_path.glob('submission/*.zip')
    with zipfile.ZipFile(written) as submission:
        assert {f'Task1_{name}.txt' for name in classes} == set(submission.namelist())


def test_strides() -> None:
    """The pyramid has the strides that the heads are told."""
    cfg = oriented_config(CONFIGS[0])
    cfg.model.backbone.update(arch=dict(embed_dims=8, depth=1, num_heads=1), img_size=64)
    backbone = MODELS.build({**cfg.model.backbone, 'init_cfg': None})
    maps = backbone(torch.randn(1, 3, 64, 96))
    strides = cfg.model.rpn_head.anchor_generator.strides[:4]
    assert [tuple(m.shape[2:]) for m in maps] == [(64 // s, 96 // s) for s in strides]
    assert cfg.model.roi_head.bbox_roi_extractor.featmap_strides == strides


@pytest.mark.parametrize('name', CONFIGS)
def test_recipe(name: str) -> None:
    """What the official files say, written down again."""
    cfg = oriented_config(name)
    backbone = cfg.model.backbone
    assert backbone.arch == ('vitae-b' if 'vitae' in name else 'vit-b')
    assert has_separate_windows(backbone) == ('kvdiff' in name)
    assert (backbone.drop_path_rate, backbone.img_size, backbone.out_type) == (
        0.15,
        1024,
        'pyramid',
    )
    optimizer = dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05)
    assert cfg.optim_wrapper.optimizer == optimizer
    assert cfg.optim_wrapper.clip_grad.max_norm == 35
    warm_up, steps = cfg.param_scheduler
    assert (warm_up.start_factor, warm_up.end) == (0.001, 500)
    assert steps.milestones == [8, 11] and steps.end == cfg.train_cfg.max_epochs == 12
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 2
    rotations = [s for s in cfg.train_dataloader.dataset.pipeline if s.type == 'RandomRotate']
    roots = {cfg[f'{split}_dataloader'].dataset.data_root for split in ('train', 'val', 'test')}
    if 'dota-ms' in name:
        assert len(rotations) == 1 and roots == {'data/split_ms_dota/'}
        assert cfg.train_dataloader.dataset.pipeline[-1].type == 'mmdet.PackDetInputs'
    else:
        assert not rotations and roots == {'data/split_ss_dota/'}


@pytest.mark.parametrize('name', DIOR)
def test_dior_recipe(name: str) -> None:
    """That of DOTA on images of 800 pixels, with less drop path for ViTAE."""
    cfg = oriented_config(name)
    backbone = cfg.model.backbone
    assert has_separate_windows(backbone) == ('kvdiff' in name)
    vitae = 'vitae' in name
    assert (backbone.arch, backbone.drop_path_rate) == (
        ('vitae-b', 0.1) if vitae else ('vit-b', 0.15)
    )
    assert backbone.img_size == cfg.model.data_preprocessor.pad_size_divisor == 800
    assert cfg.model.roi_head.bbox_head.num_classes == 20
    assert cfg.optim_wrapper.paramwise_cfg.layer_decay_rate == 0.75
    assert cfg.train_dataloader.batch_size == 2 and cfg.train_cfg.max_epochs == 12
    assert cfg.train_dataloader.dataset.ann_file == 'ImageSets/Main/trainval.txt'
    assert METRICS.build(cfg.test_evaluator).use_07_metric
    check_flips(cfg)


@pytest.mark.parametrize('name', [RSP_DOTA, RSP_HRSC, S2ANET])
def test_rsp_recipe(name: str) -> None:
    """RSP's: the first stage frozen, windows padded at the end, one learning rate."""
    cfg = oriented_config(name)
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):
        model = MODELS.build(cfg.model).train()
    stages = model.backbone.stages
    assert not any(p.requires_grad for p in stages[0].parameters())
    assert all(p.requires_grad for stage in stages[1:] for p in stage.parameters())
    norms = [m for m in model.backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms and not any(norm.training for norm in norms)
    windows = [m for m in model.backbone.modules() if isinstance(m, WindowAttention)]
    size = 8 if name == S2ANET else 7
    assert {(m.window_size, m.padding) for m in windows} == {(size, 'end')}
    last = stages[3].blocks[1].drop_path.drop_prob
    assert last == pytest.approx(0.0 if name == S2ANET else 0.3 * 9 / 13)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    assert {group['lr'] for group in groups} == {1e-4}
    assert {group['weight_decay'] for group in groups} == {0.0, 0.05}
    assert cfg.optim_wrapper.clip_grad.max_norm == 35
    epochs, milestones = (36, [24, 33]) if name == RSP_HRSC else (12, [8, 11])
    assert cfg.param_scheduler[1].milestones == milestones
    assert cfg.param_scheduler[1].end == cfg.train_cfg.max_epochs == epochs
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 2
    check_flips(cfg)


def check_flips(cfg: Config) -> None:
    """Each of both directions with a probability of one half; no turns."""
    steps = cfg.train_dataloader.dataset.pipeline
    (flip,) = [step for step in steps if step.type == 'mmdet.RandomFlip']
    assert (flip.prob, len(flip.direction)) == (0.75, 3)
    assert not [step for step in steps if step.type == 'RandomRotate']


def test_hrsc_has_both_metrics_of_voc() -> None:
    cfg = oriented_config(RSP_HRSC)
    init_default_scope(cfg.default_scope)
    metrics = {metric.prefix: metric for metric in map(METRICS.build, cfg.test_evaluator)}
    assert metrics['voc07'].use_07_metric and not metrics['voc12'].use_07_metric
    scales = [
        step.scale
        for loader in (cfg.train_dataloader, cfg.test_dataloader)
        for step in loader.dataset.pipeline
        if step.type == 'mmdet.Resize'
    ]
    assert scales == [(1333, 800)] * 2


def test_learning_rates_by_layer() -> None:
    """The first learning rate is the one in the official log: 1e-4 * 0.75 ** 13 = 2.376e-6."""
    cfg = oriented_config(CONFIGS[0])
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rates = {names[id(group['params'][0])]: group for group in groups}
    assert rates.keys() == set(names.values())
    expected = {
        'backbone.pos_embed': 13,
        'backbone.patch_embed.projection.weight': 13,
        'backbone.blocks.0.attn.qkv.weight': 12,
        'backbone.blocks.11.mlp.fc1.weight': 1,
        'backbone.pyramid.up2.weight': 0,
        'neck.lateral_convs.0.conv.weight': 0,
        'roi_head.bbox_head.fc_cls.weight': 0,
    }
    for name, power in expected.items():
        assert rates[name]['lr'] == pytest.approx(1e-4 * 0.75**power), name
    assert rates['backbone.pos_embed']['lr'] == pytest.approx(2.376e-6, rel=1e-3)
    for name, group in rates.items():
        free = group['params'][0].ndim == 1 or 'pos_embed' in name or 'rel_pos_' in name
        assert group['weight_decay'] == (0 if free else 0.05), name


def test_tools(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two iterations, validation, a checkpoint, testing with visualizations and predictions."""
    # mmrotate starts four fresh interpreters for a metric; threads serve for four tiles.
    monkeypatch.setattr(
        'mmrotate.evaluation.functional.mean_ap.get_context', lambda _: multiprocessing.dummy
    )
    cfg = small_config(CONFIGS[0], root)
    cfg.train_cfg.max_epochs = 1
    cfg.model.test_cfg.rcnn.score_thr = 0.0
    config, work_dir = tmp_path / 'small.py', tmp_path / 'work'
    cfg.dump(config)
    run_tool('train', config, '--work-dir', work_dir)
    log = next(work_dir.glob('*/*.log')).read_text()
    assert 'Epoch(val) [1]' in log and 'dota/mAP' in log
    shown, out = tmp_path / 'shown', tmp_path / 'out.pkl'
    checkpoint = work_dir / 'epoch_1.pth'
    run_tool('test', config, checkpoint, '--work-dir', work_dir, '--show-dir', shown, '--out', out)
    assert out.stat().st_size > 0
    assert len(list(tmp_path.glob('**/shown/**/*.png'))) == 4
