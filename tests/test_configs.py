"""Every config of the repository: it loads, its model builds, its parts fit."""

import re
import warnings
from pathlib import Path

import pytest
import torch
from helpers.archs import has_separate_windows
from helpers.cli import ROOT
from helpers.hosts import require_host_of
from helpers.metafiles import check_counts
from helpers.recipes import check_recipe
from mmengine import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, METRICS, MODELS, init_default_scope
from torch import nn

from mmvsa.utils import load_config

CONFIGS = sorted(path for path in (ROOT / 'configs').rglob('*.py') if '_base_' not in path.parts)


def identifier(path: Path) -> str:
    return str(path.relative_to(ROOT / 'configs'))


def build(cfg: Config) -> nn.Module:
    """The model of a config, without memory for its parameters."""
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    with warnings.catch_warnings(), torch.device('meta'):
        warnings.simplefilter('ignore')
        return MODELS.build(cfg.model)


@pytest.mark.parametrize('path', CONFIGS, ids=identifier)
def test_builds_and_fits(path: Path) -> None:
    require_host_of(path)
    cfg = load_config(path)
    assert 'mmvsa' in cfg.custom_imports['imports']
    model = build(cfg)
    channels = list(model.backbone.out_channels)
    for name, widths in input_channels(cfg).items():
        assert widths == (channels if isinstance(widths, list) else channels[-1]), name
    assert cfg.train_cfg and cfg.param_scheduler and cfg.optim_wrapper
    check_recipe(path, cfg, model)
    check_counts(path, model)


def test_mmsegs_bases_come_after_mmvsa() -> None:
    """MMEngine finds `mmseg::` once mmvsa is imported, which seg_runtime.py does first."""
    importing = [
        path for path in (ROOT / 'configs').rglob('*.py') if '__import__' in path.read_text()
    ]
    assert importing == [ROOT / 'configs/_base_/seg_runtime.py']
    checked = 0
    for path in CONFIGS:
        first = first_with_mmseg(path)
        while first is not None and first not in (importing[0], *CONFIGS):
            assert '::' not in str(first), path
            first = first_with_mmseg(first)
        checked += first is not None
    assert checked > 30


def first_with_mmseg(path: Path) -> Path | None:
    """Return the first base of a config that is mmseg's or has one of mmseg's."""
    for base in Config._get_base_files(str(path)):
        if '::' in base:
            if 'mmseg::' in base:
                return Path(base)
        elif uses_mmseg(path.parent / base):
            return (path.parent / base).resolve()
    return None


def uses_mmseg(path: Path) -> bool:
    """Whether a base is mmseg's or has one of mmseg's."""
    if '::' in str(path):
        return 'mmseg::' in str(path)
    return any(uses_mmseg(path.parent / base) for base in Config._get_base_files(str(path)))


def input_channels(cfg: Config) -> dict[str, int | list[int]]:
    """Channels that the parts fed by the backbone expect."""
    if cfg.model.type == 'MAE':
        return {'neck': cfg.model.neck.embed_dim}
    if cfg.get('default_scope') == 'mmpretrain':
        return {'head': cfg.model.head.in_channels}
    names = ('neck', 'decode_head', 'head')
    part = next(name for name in names if 'in_channels' in (cfg.model.get(name) or {}))
    channels = cfg.model[part].in_channels
    return {part: channels if isinstance(channels, int) else list(channels)}


ImageNet22K = [path for path in CONFIGS if path.stem.endswith('in21k')]
FINETUNING = [path for path in CONFIGS if 'in21k-pre' in path.name]


def recipes(*families: str) -> list[Path]:
    """The configs of these folders that train on all of ImageNet-1K, or on scenes."""
    chosen = [path for path in CONFIGS if path.parent.name in families]
    return [path for path in chosen if 'in21k' not in path.name and 'percent' not in path.name]


@pytest.mark.parametrize('path', recipes('vitaev2', 'vitaev2_vsa'), ids=identifier)
def test_imagenet_recipe(path: Path) -> None:
    """What the official command lines say, written down again."""
    cfg = load_config(path)
    b, m48 = ('vitaev2-b' in path.name, '48m' in path.name)
    assert cfg.model.backbone.drop_path_rate == (0.4 if b else 0.25 if m48 else 0.1)
    optimizer = cfg.optim_wrapper.optimizer
    assert optimizer.weight_decay == (0.065 if b else 0.055 if m48 else 0.05)
    assert optimizer.lr == 1e-3 and cfg.auto_scale_lr.base_batch_size == 1024
    assert cfg.train_dataloader.batch_size * 8 == 1024
    assert cfg.train_cfg.max_epochs == 310
    size = 384 if '384px' in path.name else 224
    assert crop_sizes(cfg) == {size}
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        resize, crop = loader.dataset.pipeline[1:3]
        assert (resize.scale, crop.crop_size) == (int(size / 0.9), size)
    check_mixing(cfg)


def crop_sizes(cfg: Config) -> set[int]:
    """The sizes to which a training pipeline crops, whatever the interpolation."""
    return {crop.scale for (crop,) in cfg.train_dataloader.dataset.pipeline[1].transforms}


def check_mixing(cfg: Config) -> None:
    mixing = [(augment.type, augment.alpha) for augment in cfg.model.train_cfg.augments]
    assert mixing == [('Mixup', 0.8), ('CutMix', 1.0)]
    assert cfg.model.head.loss.label_smooth_val == 0.1


@pytest.mark.parametrize(
    ('name', 'drop_path', 'push'),
    [
        ('swin_vsa/swin-t-vsa', 0.2, None),
        ('swin_vsa/swin-s-vsa', 0.3, None),
        ('swin_vsa/swin-b-vsa', 0.5, None),
        ('qformer/qformer-t', 0.2, 0.1),
        ('qformer/qformer-s', 0.3, 0.1),
        ('qformer/qformer-b', 0.55, 0.5),
    ],
)
def test_qformer_recipe(name: str, drop_path: float, push: float | None) -> None:
    """What the official config files and logs say, written down again."""
    cfg = load_config(ROOT / f'configs/{name}_8xb128_in1k.py')
    backbone, optimizer = cfg.model.backbone, cfg.optim_wrapper.optimizer
    assert backbone.drop_path_rate == drop_path and 'rpe' not in backbone
    assert backbone.get('attention', {}).get('transform', {}).get('coords_lambda') == push
    assert (optimizer.lr, optimizer.weight_decay) == (1e-3, 0.05)
    assert cfg.optim_wrapper.clip_grad == dict(max_norm=5.0)
    assert cfg.train_dataloader.batch_size * 8 == cfg.auto_scale_lr.base_batch_size == 1024
    assert cfg.train_cfg.max_epochs == 300 and cfg.param_scheduler[0].end == 20
    assert cfg.custom_hooks[0].momentum == pytest.approx(1 - 0.9999200016)
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        resize, crop = loader.dataset.pipeline[1:3]
        assert (resize.scale, crop.crop_size) == (256, 224)
    check_mixing(cfg)


def test_qformer_at_384_pixels() -> None:
    """The recipe of 224 pixels, but for the sizes of the images."""
    cfg = load_config(ROOT / 'configs/qformer/qformer-t_8xb128_in1k-384px.py')
    small = load_config(ROOT / 'configs/qformer/qformer-t_8xb128_in1k.py')
    assert cfg.model == small.model and cfg.optim_wrapper == small.optim_wrapper
    sizes = {'RandomResizedCrop': 384, 'ResizeEdge': int(256 / 224 * 384), 'CenterCrop': 384}
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        for step, other in zip(
            cfg[name].dataset.pipeline, small[name].dataset.pipeline, strict=True
        ):
            size = sizes.get(step.type)
            key = 'crop_size' if step.type == 'CenterCrop' else 'scale'
            changed = {key: size} if size else {}
            assert step == {'_scope_': 'mmpretrain', **other, **changed}


@pytest.mark.parametrize('path', recipes('vitae'), ids=identifier)
def test_vitae_recipe(path: Path) -> None:
    """Tiny has the official command, Small and larger the defaults of the official program."""
    cfg = load_config(path)
    small = '4xb128' in path.name
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.weight_decay) == (1e-3, 0.03 if small else 0.05)
    images = 512 if small else 1024
    assert cfg.train_dataloader.batch_size * (4 if small else 8) == images
    assert cfg.auto_scale_lr.base_batch_size == images
    (average,) = cfg.custom_hooks
    assert average.momentum == pytest.approx(1 - 0.99996 ** (images / 512))
    assert cfg.model.backbone.drop_path_rate == 0.1 and cfg.train_cfg.max_epochs == 310
    check_mixing(cfg)


@pytest.mark.parametrize('path', recipes('rvsa'), ids=identifier)
def test_scene_recipe(path: Path) -> None:
    """What the official README and program say, written down again."""
    cfg = load_config(path)
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.weight_decay) == (2.5e-4, 0.05)
    assert cfg.optim_wrapper.paramwise_cfg.layer_decay_rate == 0.75
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 64
    assert cfg.train_cfg.max_epochs == 200 and cfg.param_scheduler[0].end == 5
    assert has_separate_windows(cfg.model.backbone) == ('kvdiff' in path.name)
    classes = {'ucm': 21, 'aid': 30, 'nwpu': 45}[path.stem.rsplit('_', 1)[1].split('-')[0]]
    assert cfg.model.head.num_classes == cfg.data_preprocessor.num_classes == classes
    train, val = cfg.train_dataloader.dataset, cfg.val_dataloader.dataset
    assert 'RandomErasing' in {step.type for step in train.pipeline}
    assert train.ann_file.replace('train', 'valid') == val.ann_file
    check_mixing(cfg)


# One config for each classifier that differs in more than its width.
@pytest.mark.parametrize(
    'name',
    [
        'swin_vsa/swin-t-vsa_8xb128_in1k',
        'qformer/qformer-t_8xb128_in1k',
        'vitae/vitae-tiny_4xb128_in1k',
        'vitae/vitae-base_8xb128_in1k',
        'rsp/vitaev2-s_rsp-pre_1xb64-200e_aid-28',
        'rvsa/rvsa-vit-b_1xb64-200e_nwpu-28',
        'rvsa/rvsa-vitae-b-kvdiff_1xb64-200e_ucm-55',
    ],
)
def test_classifier_takes_a_loss(name: str) -> None:
    from mmpretrain.structures import DataSample

    cfg = load_config(ROOT / f'configs/{name}.py')
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    model = MODELS.build({**cfg.model, 'data_preprocessor': cfg.data_preprocessor}).train()
    samples = [DataSample().set_gt_label(label) for label in (0, 3)]
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    data = model.data_preprocessor(dict(inputs=images, data_samples=samples), training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert loss.isfinite()
    unused = [n for n, p in model.backbone.named_parameters() if p.grad is None]
    assert not unused
    assert any(p.grad.abs().sum() > 0 for p in model.backbone.parameters())


@pytest.mark.parametrize('path', ImageNet22K, ids=identifier)
def test_imagenet_22k_recipe(path: Path) -> None:
    """The classes agree wherever they are counted; the size of a step is that of the name."""
    cfg = load_config(path)
    assert cfg.model.head.num_classes == cfg.data_preprocessor.num_classes == 21841
    assert cfg.train_dataloader.dataset.type == 'ImageNet21k' and cfg.val_dataloader is None
    assert_batch_size(cfg, path, 4096)
    assert cfg.optim_wrapper.optimizer.lr == 1e-3 and cfg.train_cfg.max_epochs == 90


@pytest.mark.parametrize('path', FINETUNING, ids=identifier)
def test_finetuning_recipe(path: Path) -> None:
    """It starts from the last checkpoint of the pretraining config of the same model."""
    cfg = load_config(path)
    init = cfg.model.backbone.init_cfg
    work_dir, name = Path(init.checkpoint).parent, Path(init.checkpoint).name
    pretraining = load_config(path.with_name(f'{work_dir.name}.py'))
    assert work_dir.parent == Path('work_dirs') and init.prefix == 'backbone.'
    assert name == f'epoch_{pretraining.train_cfg.max_epochs}.pth'
    assert pretraining.model.backbone.arch == cfg.model.backbone.arch.removesuffix('-ws12')
    assert_batch_size(cfg, path, 512)
    size = 384 if '384px' in path.name else 224
    assert crop_sizes(cfg) == {size}
    assert cfg.optim_wrapper.paramwise_cfg.layer_decay_rate == 0.9
    assert cfg.model.head.num_classes == 1000 and cfg.model.train_cfg is None


def assert_batch_size(cfg: Config, path: Path, step: int) -> None:
    gpus, images = re.search(r'_(\d+)xb(\d+)_', path.name).groups()
    assert cfg.train_dataloader.batch_size == int(images)
    assert int(gpus) * int(images) == cfg.auto_scale_lr.base_batch_size == step


def test_learning_rate_over_the_epochs() -> None:
    """Near the official logs at their epochs (the official warm-up changes once per epoch)."""
    from mmengine.optim import CosineAnnealingLR, LinearLR

    cfg = load_config(ROOT / 'configs/vitaev2_vsa/vitaev2-s-vsa_8xb128_in1k.py')
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=cfg.optim_wrapper.optimizer.lr)
    warm_up, cosine = cfg.param_scheduler
    schedules = [
        LinearLR(optimizer, start_factor=warm_up.start_factor, end=warm_up.end),
        CosineAnnealingLR(
            optimizer,
            eta_min=cosine.eta_min,
            begin=cosine.begin,
            end=cosine.end,
            T_max=cosine.end - cosine.begin,
        ),
    ]
    rates = []
    for _ in range(cfg.train_cfg.max_epochs):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for schedule in schedules:
            schedule.step()
    logged = {10: 9.973e-4, 50: 9.344e-4, 100: 7.55e-4, 150: 5.1e-4, 200: 2.65e-4, 250: 8.565e-5}
    for epoch, rate in logged.items():
        assert rates[epoch] == pytest.approx(rate, abs=3e-5), epoch
    assert rates[0] == pytest.approx(1e-6) and max(rates) == pytest.approx(1e-3)
    assert rates[300:] == pytest.approx([1e-5] * 10, rel=1e-2)


def test_weight_decay_follows_timm() -> None:
    """Decay for parameters of more than one dimension, biases aside."""
    cfg = load_config(ROOT / 'configs/vitaev2_vsa/vitaev2-s-vsa_8xb128_in1k.py')
    cfg.model.backbone.arch = dict(
        embed_dims=(4,),
        token_dims=(8,),
        depths=(1,),
        num_heads=(2,),
        rc_heads=(2,),
        attention=('vsa',),
        window_size=4,
    )
    cfg.model.backbone.out_indices = (0,)
    init_default_scope('mmpretrain')
    model = MODELS.build(cfg.model)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for group in wrapper.optimizer.param_groups:
        (parameter,) = group['params']
        name = names[id(parameter)]
        expected = 0.0 if parameter.ndim == 1 or name.endswith('.bias') else 0.05
        assert group['weight_decay'] == expected, name


@pytest.mark.parametrize('rate', [0.02, 0.2])
def test_regressors_of_the_quickstarts_learn_slower(rate: float) -> None:
    option = {'optim_wrapper.paramwise_cfg.custom_keys.regressor.lr_mult': rate}
    file = ROOT / 'configs/quickstart/vitaev2-vsa-nano_digits.py'
    cfg = load_config(file, option if rate != 0.02 else None)
    model = build(cfg)
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    rates = {names[parameter]: group['lr'] for group in groups for parameter in group['params']}
    slow = {name for name, lr in rates.items() if lr == pytest.approx(rate * 2e-3)}
    assert slow == {name for name in rates if '.transform.regressor.' in name} != set()
    assert all(lr == 2e-3 for name, lr in rates.items() if name not in slow)


needs_installation = pytest.mark.skipif(
    not (ROOT / 'mmvsa/.mim').exists(), reason='mmvsa:: needs mmvsa installed (pip install -e .)'
)


@needs_installation
@pytest.mark.parametrize(
    'name', ['vitaev2_vsa/vitaev2-s-vsa_8xb128_in1k', 'quickstart/vitaev2-vsa-nano_digits']
)
def test_inherits_from_outside(tmp_path: Path, name: str) -> None:
    """A base named ``mmvsa::`` gets the scope mmvsa, where mmpretrain's types are not known."""
    child = tmp_path / 'child.py'
    child.write_text(f"_base_ = ['mmvsa::{name}.py']\nmodel = dict(head=dict(num_classes=3))")
    cfg = load_config(child)
    assert build(cfg).head.num_classes == 3
    data = dict(cfg.val_dataloader.dataset, lazy_init=True)
    assert DATASETS.build(data).pipeline.transforms
    assert METRICS.build(cfg.val_evaluator).topk
