"""Configs of change detection: a loss of each, training and testing by the tools, bad input."""

import cv2
import numpy as np
import pytest
import torch
from helpers.archs import narrow_rvsa
from helpers.cli import ROOT, run_tool
from helpers.hosts import assert_backbone_trains, train_step
from helpers.pairs import sample

from mmvsa.datasets.images import write_image
from mmvsa.registry import DATASETS
from mmvsa.utils import load_config

CONFIGS = sorted(ROOT.glob('configs/change_detection/*.py'))
QUICKSTART = ROOT / 'configs/quickstart/bit_vitaev2-vsa-nano_photo-pairs.py'
SPLITS = ('train', 'val', 'test')
SETTINGS = dict(num_train=8, num_val=2, num_test=2, size=64, max_object=24)


@pytest.mark.parametrize('path', [*CONFIGS, QUICKSTART], ids=lambda path: path.stem)
def test_takes_a_loss(path):
    cfg = load_config(path)
    cfg.model.backbone.init_cfg = None
    if cfg.model.backbone.type == 'mmvsa.RVSA':
        cfg.model.decode_head.in_channels = [narrow_rvsa(cfg.model.backbone, 64)] * 4
    if 'norm_cfg' in cfg.model.decode_head:
        cfg.model.decode_head.norm_cfg = dict(type='BN')  # SyncBN trains on GPUs alone
    pairs = [torch.randint(0, 256, (6, 64, 64), dtype=torch.uint8) for _ in range(2)]
    changed = (torch.rand(2, 64, 64) > 0.8).long()
    samples = [
        dict(inputs=pair, data_samples=sample(c)) for pair, c in zip(pairs, changed, strict=True)
    ]
    model, losses = train_step(cfg, samples)
    assert 0 < losses['decode.loss_ce'] < 5
    assert_backbone_trains(model)


def test_recipe_of_rsp():
    """What train.py of the official code says, written down once more."""
    cfg = load_config(ROOT / 'configs/change_detection/bit_vitaev2-s_1xb8-200e_cdd-256x256.py')
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.weight_decay, optimizer.betas) == (6e-5, 0.01, (0.9, 0.999))
    assert 'paramwise_cfg' not in cfg.optim_wrapper and cfg.randomness.seed == 777
    assert cfg.train_dataloader.batch_size == cfg.test_evaluator.batch_size == 8
    assert (cfg.model.backbone.drop_path_rate, cfg.train_cfg.max_epochs) == (0.3, 200)
    assert 'mean' not in cfg.model.data_preprocessor and cfg.model.data_preprocessor.bgr_to_rgb
    assert cfg.test_dataloader.dataset.split == 'test'


def test_rate_falls_linearly_by_epoch():
    """6e-5 * (1 - epoch / 201), as LambdaLR of the official code."""
    from mmengine.optim import LinearLR

    cfg = load_config(ROOT / 'configs/change_detection/bit_vitaev2-s_1xb8-200e_cdd-256x256.py')
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=6e-5)
    options = {k: v for k, v in cfg.param_scheduler[0].items() if k != 'type'}
    schedule = LinearLR(optimizer, **options)
    for epoch in range(200):
        rate = optimizer.param_groups[0]['lr']
        assert rate == pytest.approx(6e-5 * (1 - epoch / 201), rel=1e-6), epoch
        optimizer.step()
        schedule.step()


def write_tiny_pairs(root):
    DATASETS.build(dict(type='mmvsa.PhotoPairs', data_root=str(root), settings=SETTINGS))
    return root


def options(root, work_dir):
    """Options of both tools: the pairs in ``root``, loaded by the process itself."""
    loaders = [f'{split}_dataloader.num_workers=0' for split in SPLITS]
    return ['--work-dir', work_dir, '--cfg-options', f'data_root={root}', *loaders]


def test_trains_and_draws_four_panels(tmp_path):
    """The quickstart's config on a few small pairs, by the tools."""
    root, work_dir = write_tiny_pairs(tmp_path / 'pairs'), tmp_path / 'work'
    epochs = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1']
    run_tool('train', QUICKSTART, *options(root, work_dir), *epochs)
    checkpoint = next(work_dir.glob('best_change_F1_*.pth'))
    show, scores = tmp_path / 'panels', tmp_path / 'scores.json'
    outputs = ['--show-dir', show, '--out', scores]
    run_tool('test', QUICKSTART, checkpoint, *outputs, *options(root, work_dir))
    assert '"change/batch_F1"' in scores.read_text()
    drawn = sorted(show.rglob('*.png'))
    assert len(drawn) == SETTINGS['num_test']
    assert cv2.imread(str(drawn[0])).shape == (64, 4 * 64 + 3 * 4, 3)


def test_bad_input_is_one_line_before_training_starts(tmp_path, capsys):
    root = write_tiny_pairs(tmp_path / 'pairs')
    write_image(root / 'val/OUT/000001.png', np.full((64, 64), 9, np.uint8))
    with pytest.raises(SystemExit) as stopped:
        run_tool('train', QUICKSTART, *options(root, tmp_path / 'work'))
    assert stopped.value.code == 2
    output = capsys.readouterr()
    assert 'val/OUT/000001.png has the values 9' in output.err.splitlines()[-1]
    assert 'Epoch(train)' not in output.out


def test_missing_data_is_one_line(tmp_path, capsys):
    config = ROOT / 'configs/change_detection/bit_vitaev2-s_1xb8-200e_levir-256x256.py'
    scratch = ['--cfg-options', 'model.backbone.init_cfg=None', f'data_root={tmp_path}']
    with pytest.raises(SystemExit) as stopped:
        run_tool('train', config, '--work-dir', tmp_path / 'work', *scratch)
    assert stopped.value.code == 2
    assert f'there is no folder {tmp_path}/train/A' in capsys.readouterr().err
