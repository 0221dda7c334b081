"""MAE: recipes, losses, and the way from pretraining to the linear probe and to RVSA."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.archs import RVSA as VIT
from helpers.archs import RVSA_VITAE as VITAE
from helpers.cli import ROOT, run_tool
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from mmpretrain.structures import DataSample
from PIL import Image
from torch import Tensor, nn

from mmvsa.models import RVSA, load_pretrained, read_state_dict
from mmvsa.models.backbones.rvsa import ARCHS
from mmvsa.utils import load_config

KINDS = ('vit-b', 'vit-l', 'vitae-b', 'vitae-l')
PRETRAINING = 'mae/mae-{}_8xb256-1600e_millionaid'
PROBE = 'mae/mae-{}_linear_1xb256-100e_ucm-55'
every_kind = pytest.mark.parametrize('kind', KINDS)


def read(name: str, kind: str) -> Config:
    cfg = load_config(ROOT / f'configs/{name.format(kind)}.py')
    init_default_scope(cfg.default_scope)
    return cfg


# Recipes: what the official programs and the README say, written down once more.


@every_kind
def test_pretraining_recipe(kind: str) -> None:
    cfg = read(PRETRAINING, kind)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    dims, depth = (768, 12) if kind.endswith('b') else (1024, 24)
    assert model.backbone.out_channels == (dims,) and len(model.backbone.blocks) == depth
    assert (model.backbone.blocks[0].pcm is not None) == ('vitae' in kind)
    assert model.backbone.mask_ratio == 0.75 and not model.head.norm_pix
    assert model.neck.decoder_embed.weight.shape == (512, dims)
    assert len(model.neck.decoder_blocks) == 8 and model.neck.decoder_blocks[0].attn.num_heads == 16
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.weight_decay) == (pytest.approx(1.5e-4 * 8), 0.05)
    assert optimizer.betas == (0.9, 0.95)
    images = cfg.train_dataloader.batch_size * 8
    assert images == cfg.auto_scale_lr.base_batch_size == 2048 and cfg.train_dataloader.drop_last
    assert [(s.begin if 'begin' in s else 0, s.end) for s in cfg.param_scheduler] == [
        (0, 40),
        (40, cfg.train_cfg.max_epochs),
    ]
    assert cfg.train_cfg.max_epochs == 1600
    assert cfg.randomness.diff_rank_seed and cfg.randomness.seed == 0
    _, crop, flip, _ = cfg.train_dataloader.dataset.pipeline
    assert (crop.scale, crop.crop_ratio_range, crop.interpolation) == (224, (0.2, 1.0), 'bicubic')
    assert (flip.type, flip.prob) == ('RandomFlip', 0.5)


@every_kind
def test_probe_recipe(kind: str) -> None:
    cfg = read(PROBE, kind)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    dims = 768 if kind.endswith('b') else 1024
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    assert learning == {'head.fc.weight', 'head.fc.bias'} and model.backbone.mask_ratio == 0
    assert model.neck.bn.num_features == dims and model.neck.bn.eps == 1e-6
    assert not model.neck.bn.affine and model.head.fc.weight.shape == (21, dims)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    assert [(g['lr'], g['weight_decay'], g['momentum']) for g in groups] == [(0.1, 0, 0.9)] * 2
    assert [g.get('lars_exclude', False) for g in groups] == [False, True]
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 256
    assert cfg.train_cfg.max_epochs == cfg.param_scheduler[1].end == 100
    assert cfg.param_scheduler[0].end == cfg.param_scheduler[1].begin == 10
    kinds = [step.type for step in cfg.train_dataloader.dataset.pipeline]
    assert kinds == ['LoadImageFromFile', 'RandomResizedCrop', 'RandomFlip', 'PackInputs']
    resize, crop = cfg.val_dataloader.dataset.pipeline[1:3]
    assert (resize.scale, crop.crop_size) == (256, 224)


@every_kind
def test_what_a_probe_starts_from(kind: str) -> None:
    """An official file, of ViTAE-L the one that its pretraining makes."""
    path = Path(read(PROBE, kind).model.backbone.init_cfg.checkpoint)
    own = Path('work_dirs') / Path(PRETRAINING.format(kind)).name
    last = f'epoch_{read(PRETRAINING, kind).train_cfg.max_epochs}.pth'
    public = Path('checkpoints') / f'mae-{kind}_millionaid.pth'
    assert path == (own / last if kind == 'vitae-l' else public)


# Losses.


def shrink(cfg: Config, kind: str) -> Config:
    """Two blocks of full width, and images of 32 pixels."""
    cfg.model.backbone.update(arch=dict(ARCHS[kind], depth=2), img_size=32, init_cfg=None)
    if 'frozen_stages' in cfg.model.backbone:
        cfg.model.backbone.frozen_stages = 2
    else:
        cfg.model.neck.update(num_patches=4, decoder_depth=1)
    return cfg


@every_kind
@pytest.mark.parametrize('config', [PRETRAINING, PROBE], ids=['pretraining', 'probe'])
def test_takes_a_loss(config: str, kind: str) -> None:
    cfg = shrink(read(config, kind), kind)
    model = MODELS.build({**cfg.model, 'data_preprocessor': cfg.data_preprocessor})
    model.init_weights()
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    samples = [DataSample().set_gt_label(label) for label in range(4)]
    data = dict(inputs=images, data_samples=samples)
    data = model.train().data_preprocessor(data, training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert 0 < loss.item() < 10
    learning = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    assert all(grad is not None and grad.isfinite().all() for grad in learning.values())
    assert any(grad.any() for grad in learning.values())


# The whole way, on small images.

SIDE = 64
SCENES = """
_base_ = [{base!r}]
_arch = dict(_delete_=True, **{arch!r})
model = dict(backbone=dict(arch=_arch, img_size={side}, {options}), {parts})
train_dataloader = dict(batch_size=4, num_workers=0)
{loaders}
train_cfg = dict(max_epochs={epochs})
param_scheduler = [dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=2)]
default_hooks = dict(checkpoint=dict(interval=1), logger=dict(interval=1))
"""
# What follows from the small arch and the small images.
SMALL_MAE = dict(
    options='',
    parts='neck=dict(embed_dim=16, num_patches=16, decoder_embed_dim=16, decoder_depth=1, '
    'decoder_num_heads=2)',
    loaders='',
    epochs=3,
)
SMALL_PROBE = dict(
    options='frozen_stages=4',
    parts='neck=dict(input_features=16), head=dict(in_channels=16)',
    loaders='val_dataloader = dict(batch_size=4, num_workers=0)\ntest_dataloader = val_dataloader',
    epochs=1,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Eight scenes of two classes under the lists of MillionAID and of UC Merced."""
    rng = np.random.default_rng(0)
    folder = tmp_path / 'scenes'
    (folder / 'all_img').mkdir(parents=True)
    for index in range(8):
        scene = rng.integers(0, 100, (SIDE, SIDE, 3)) + 150 * (index % 2)
        Image.fromarray(scene.astype(np.uint8)).save(folder / f'all_img/{index}.png')
    lines = '\n'.join(f'{index}.png class{index % 2} {index % 2}' for index in range(8))
    for name in ('train_labels', 'train_labels_55_0', 'valid_labels_55_0'):
        (folder / f'{name}.txt').write_text(lines)
    return folder


def train(name: str, root: Path, *options: str, arch: dict, **settings: object) -> Path:
    """Train a small child of a config by the tool; the checkpoint at the end."""
    path = root.parent / f'{Path(name).name}-tiny.py'
    base = str(ROOT / f'configs/{name}.py')
    path.write_text(SCENES.format(base=base, side=SIDE, arch=arch, **settings))
    work_dir = root.parent / path.stem
    crop = f'train_dataloader.dataset.pipeline.1.scale={SIDE}'
    own = [f'data_root={root}', 'randomness.seed=0', crop]
    run_tool('train', path, '--work-dir', work_dir, '--cfg-options', *own, *options)
    return work_dir / f'epoch_{settings["epochs"]}.pth'


def encoder_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    start = 'backbone.'
    return {k.removeprefix(start): v for k, v in weights.items() if k.startswith(start)}


def center(kernel: Tensor) -> Tensor:
    """The 1x1 kernel in the middle of a 3x3 one, of which nothing else is set."""
    middle = kernel[..., 1:2, 1:2]
    assert torch.count_nonzero(kernel) == torch.count_nonzero(middle)
    return middle


@pytest.mark.slow
@pytest.mark.parametrize(('kind', 'arch'), [('vit-b', VIT), ('vitae-b', VITAE)])
def test_from_pretraining_to_the_probe_and_to_rvsa(kind: str, arch: dict, root: Path) -> None:
    file = train(PRETRAINING.format(kind), root, arch=arch, **SMALL_MAE)
    log = next(file.parent.rglob('scalars.json')).read_text()
    assert log.count('"loss"') == 6 and 'NaN' not in log
    check_probe(kind, arch, file, root)
    check_rvsa(kind, arch, file)


def check_probe(kind: str, arch: dict, file: Path, root: Path) -> None:
    """The probe takes the file as it is and leaves the backbone alone."""
    start = f'model.backbone.init_cfg.checkpoint={file}'
    probed = read_state_dict(train(PROBE.format(kind), root, start, arch=arch, **SMALL_PROBE))
    before, after = encoder_weights(read_state_dict(file)), encoder_weights(probed)
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert probed['neck.bn.num_batches_tracked'] == 2 and probed['head.fc.bias'].any()


def check_rvsa(kind: str, arch: dict, file: Path) -> None:
    """RVSA's own config takes the file, and every weight of the encoder arrives."""
    weights = encoder_weights(read_state_dict(file))
    cfg = read('rvsa/rvsa-{}_1xb64-200e_nwpu-28', kind)
    cfg.model.backbone.update(arch=arch, img_size=SIDE)
    cfg.model.backbone.init_cfg.checkpoint = str(file)
    cfg.model.head.in_channels = 16
    model = MODELS.build(cfg.model)
    fresh = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    model.init_weights()
    loaded = model.backbone.state_dict()
    kernels = 0
    for name, value in weights.items():
        if name == 'cls_token':
            continue  # RVSA has none
        padded = value.shape != loaded[name].shape
        kernels += padded
        assert torch.equal(center(loaded[name]) if padded else loaded[name], value), name
    assert kernels == (2 * 4 if kind == 'vitae-b' else 0)
    own = {name for name in loaded if 'regressor' in name or '.position' in name}
    own |= {name for name in loaded if 'relative_position_bias_table' in name}
    assert loaded.keys() - weights.keys() == own
    assert all(torch.equal(loaded[name], fresh[name]) for name in own)
    compare_features(arch, weights, file)


def compare_features(arch: dict, weights: dict[str, Tensor], file: Path) -> None:
    """With full attention and without the class token, the trained encoder and RVSA agree."""
    init_cfg = dict(type='Pretrained', checkpoint=str(file), prefix='backbone.')
    full = dict(type='full', position=None)
    rvsa = RVSA(arch, img_size=SIDE, attention=full, init_cfg=init_cfg)
    encoder = MODELS.build(dict(type='mmvsa.MAEEncoder', arch=arch, img_size=SIDE))
    load_pretrained(encoder, weights)
    rvsa.init_weights()
    x = torch.randn(2, 3, SIDE, SIDE)
    (features,) = rvsa.eval()(x)
    patches = encoder.eval().embed(x).flatten(1, 2)
    for block in encoder.blocks:
        patches = block(patches, (1, patches.shape[1]))
    torch.testing.assert_close(features.flatten(2).transpose(1, 2), encoder.norm(patches))


# Bad input.


def test_a_missing_pretraining_says_how_to_make_it(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    config = ROOT / f'configs/{PROBE.format("vitae-l")}.py'
    with pytest.raises(SystemExit) as stopped:
        run_tool(
            'train', config, '--work-dir', tmp_path / 'w', '--cfg-options', f'data_root={root}'
        )
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert 'which does not exist' in error and Path(PRETRAINING.format('vitae-l')).name in error


def test_rvsa_of_another_width_is_refused(tmp_path: Path) -> None:
    from mmvsa.models import CheckpointError

    encoder: nn.Module = MODELS.build(dict(type='mmvsa.MAEEncoder', arch=VIT, img_size=SIDE))
    torch.save(encoder.state_dict(), tmp_path / 'mae.pth')
    rvsa = RVSA({**VIT, 'embed_dims': 32}, img_size=SIDE)
    with pytest.raises(CheckpointError, match='fits only 0 of the'):
        load_pretrained(rvsa, tmp_path / 'mae.pth')
