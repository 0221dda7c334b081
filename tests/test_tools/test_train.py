"""tools/train.py, test.py and dist_train.sh, from the command line to the checkpoint."""

import json
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.cli import QUICKSTART, ROOT, run_command, run_tool, tiny_config
from helpers.scenes import CLASSIFICATION, DETECTION, SEGMENTATION, write_tiny_scenes
from mmengine import Config
from PIL import Image

from mmvsa.utils import load_config

# Neither augmentation nor drop path, a constant learning rate; batch norms run on their initial
# statistics.
PLAIN = """
plain = [dict(type='Resize', scale=(32, 32)), dict(type='PackInputs')]
train_dataloader['dataset'].update(pipeline=plain)
model['backbone'].update(norm_eval=True, drop_path_rate=0.0)
# Small weights and fixed norms would leave the first stage without a gradient.
model['init_cfg'] = dict(type='Kaiming', layer=['Conv2d', 'Linear'])
param_scheduler = [dict(type='ConstantLR', factor=1.0)]
"""


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, map_location='cpu', weights_only=False)['state_dict']


def assert_equal_weights(a: Path, b: Path, **tolerance: float) -> None:
    left, right = weights(a), weights(b)
    assert left.keys() == right.keys()
    for name in left:
        torch.testing.assert_close(left[name], right[name], msg=name, **tolerance)


def test_train_resume_test(tmp_path: Path) -> None:
    """One epoch and a resumed second are the same as two; the checkpoint tests from its config.

    The state of random generators is not in MMEngine's checkpoints, so that nothing is random.
    """
    config = tiny_config(tmp_path, epochs=2, extra=PLAIN)
    straight, stopped = tmp_path / 'straight', tmp_path / 'stopped'
    run_tool('train', config, '--work-dir', straight)
    run_tool('train', config, '--work-dir', stopped, '--cfg-options', 'train_cfg.max_epochs=1')
    assert (stopped / 'last_checkpoint').read_text().endswith('epoch_1.pth')
    run_tool('train', config, '--work-dir', stopped, '--resume')
    assert_equal_weights(straight / 'epoch_2.pth', stopped / 'epoch_2.pth', rtol=0, atol=0)

    snapshot = stopped / 'tiny.py'
    assert Config.fromfile(snapshot).train_cfg.max_epochs == 2
    out = tmp_path / 'metrics.json'
    output = run_command(
        sys.executable, 'tools/test.py', snapshot, stopped / 'epoch_2.pth', '--out', out
    )
    assert 'accuracy/top1' in output
    assert 0 <= json.loads(out.read_text())['accuracy/top1'] <= 100


def test_report_pictures_and_predictions(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    config = tiny_config(tmp_path)
    work_dir = tmp_path / 'work'
    run_tool('train', config, '--work-dir', work_dir)
    report = capsys.readouterr().out
    for picture in ('training_curve.png', 'windows.png'):
        assert picture in report
        assert np.asarray(Image.open(work_dir / picture)).std() > 10
    checkpoint = next(work_dir.glob('best_*.pth'))
    assert 'tools/test.py' in report and checkpoint.name in report and '--resume' in report

    predictions, shown = tmp_path / 'predictions.pkl', tmp_path / 'shown'
    args = (config, checkpoint, '--work-dir', work_dir, '--cfg-options')
    few = 'test_dataloader.dataset.indices=3'
    run_tool('test', *args, few, '--out', predictions, '--show-dir', shown)
    assert predictions.stat().st_size > 0
    assert len(list(shown.glob('*'))) == 3
    run_tool('test', *args, few, '--tta')


def test_one_file_per_image_and_metrics_of_tensors(tmp_path: Path) -> None:
    """Images of two folders have the same names; a confusion matrix is written as a list."""
    for split, count in (('train', 4), ('val', 3)):
        for name in ('cat', 'dog'):
            folder = tmp_path / 'data' / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                noise = np.random.randint(0, 255, (32, 32, 3), np.uint8)
                Image.fromarray(noise).save(folder / f'{number}.png')
    config = tiny_config(tmp_path)
    work_dir = tmp_path / 'my work (1)'
    options = (f'data_root={tmp_path / "data"}', 'train_dataloader.dataset.indices=8')
    run_tool('train', config, '--work-dir', work_dir, '--cfg-options', *options)
    checkpoint = next(work_dir.glob('best_*.pth'))
    evaluators = [dict(type='Accuracy', topk=(1,)), dict(type='ConfusionMatrix')]
    snapshot = Config.fromfile(work_dir / 'tiny.py')
    snapshot.merge_from_dict(dict(test_evaluator=evaluators))
    snapshot.dump(tmp_path / 'matrix.py')
    out, shown = tmp_path / 'metrics.json', tmp_path / 'shown'
    run_tool('test', tmp_path / 'matrix.py', checkpoint, '--out', out, '--show-dir', shown)
    assert len(list(shown.iterdir())) == 6
    assert np.sum(json.loads(out.read_text())['confusion_matrix/result']) == 6
    # The training's own config is still that of the training.
    assert Config.fromfile(work_dir / 'tiny.py').load_from is None


def test_a_loss_of_nan_stops_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    config, work_dir = tiny_config(tmp_path, epochs=2), tmp_path / 'work'
    args = ('train', config, '--work-dir', work_dir, '--cfg-options')
    with pytest.raises(SystemExit) as stopped:
        run_tool(*args, 'optim_wrapper.optimizer.lr=1e30')
    error = capsys.readouterr().err.splitlines()[-1]
    assert stopped.value.code == 2 and error.startswith('error: ')
    assert 'loss nan at iteration' in error or 'weights are not finite' in error
    assert not list(work_dir.glob('*.pth'))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['model.backbone.type=mmvsa.ViTAEv3'], 'did you mean ViTAEv2'),
        (['model.head.num_classes=5'], '10 classes in Digits, 5 in model.head'),
        (['model.head.in_channels=5'], 'RuntimeError: mat1 and mat2 shapes'),
        (['model.backbone.out_indices=7'], 'out_indices must be from -3 to 2, got 7'),
        (['default_hooks.checkpoint.save_best=top1'], 'no metric top1'),
        (['val_evaluator.type=Acuracy'], 'did you mean Accuracy'),
        (['train_dataloader.dataset.split=trian'], "got 'trian'"),
        (['load_from=nope.pth'], 'nope.pth'),
        (['foo'], 'takes KEY=VALUE'),
    ],
)
def test_wrong_settings_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture, options: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run_tool(
            'train', tiny_config(tmp_path), '--work-dir', tmp_path / 'w', '--cfg-options', *options
        )
    error = capsys.readouterr().err.splitlines()[-1]
    assert stopped.value.code == 2 and error.startswith('error: ') and message in error


def free_port() -> str:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return str(free.getsockname()[1])


def test_two_processes_equal_a_doubled_batch(tmp_path: Path) -> None:
    """The gradient of two processes is the mean over both halves of a batch.

    Batch norms run on their initial statistics, nothing is random, and samples come in order:
    two processes then see together what one process sees.
    """
    ordered = """
train_dataloader.update(
    batch_size=8, sampler=dict(type='DefaultSampler', shuffle=False))
optim_wrapper = dict(optimizer=dict(
    _delete_=True, type='SGD', lr=0.05, momentum=0.9), paramwise_cfg=None, clip_grad=None)
"""
    config = tiny_config(tmp_path, extra=PLAIN + ordered)
    one, two = tmp_path / 'one', tmp_path / 'two'
    run_tool('train', config, '--work-dir', one, '--cfg-options', 'train_dataloader.batch_size=16')
    output = run_command(
        'bash', 'tools/dist_train.sh', config, 2, '--work-dir', two, PORT=free_port()
    )
    assert 'Distributed launcher: pytorch' in output and 'GPU number: 2' in output
    assert_equal_weights(one / 'epoch_1.pth', two / 'epoch_1.pth', rtol=1e-4, atol=5e-5)
    metrics = []
    for name, tool in (('one', ['tools/test.py']), ('two', ['bash', 'tools/dist_test.sh'])):
        out = tmp_path / f'{name}.json'
        args = (config, two / 'epoch_1.pth', *([2] if name == 'two' else []))
        command = [sys.executable, *tool] if name == 'one' else tool
        run_command(*command, *args, '--work-dir', two, '--out', out, PORT=free_port())
        metrics.append(json.loads(out.read_text()))
    assert metrics[0] == metrics[1]

    fresh = tmp_path / 'fresh'
    run_tool(
        'train',
        config,
        '--work-dir',
        fresh,
        '--cfg-options',
        'train_dataloader.batch_size=16',
        'optim_wrapper.optimizer.lr=0.0',
    )
    trained, start = weights(one / 'epoch_1.pth'), weights(fresh / 'epoch_1.pth')
    moved = {name: float((trained[name] - start[name]).abs().max()) for name in trained}
    # The comparison must not hold trivially.
    assert moved['head.fc.weight'] > 1e-3
    assert moved['backbone.stages.0.reduction.attn.proj.weight'] > 1e-3


def test_repeated_augmentation_average_and_clipping(tmp_path: Path) -> None:
    """The options of docs/training.md: a clipped SGD step moves the weights by lr * max_norm."""
    options = """
train_dataloader.update(batch_size=64)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=0.5, weight_decay=0.0))
param_scheduler = [dict(type='ConstantLR', factor=1.0)]
custom_hooks = [dict(type='EMAHook', momentum=0.25)]
"""
    config = tiny_config(tmp_path, epochs=2, extra=options)
    work_dir = tmp_path / 'work'
    run_tool(
        'train',
        config,
        '--work-dir',
        work_dir,
        '--cfg-options',
        'train_dataloader.sampler.type=RepeatAugSampler',
        'optim_wrapper.clip_grad.max_norm=0.01',
    )
    checkpoint = torch.load(work_dir / 'epoch_2.pth', map_location='cpu', weights_only=False)
    # The average comes first: 3/4 of the first step's weights and 1/4 of the second's.
    averaged, latest = checkpoint['state_dict'], checkpoint['ema_state_dict']
    names = [name for name, value in averaged.items() if value.is_floating_point()]
    names = [name for name in names if 'running_' not in name]
    gap = torch.cat([(latest[f'module.{n}'] - averaged[n]).flatten() for n in names]).norm()
    assert float(gap) == pytest.approx(0.75 * 0.5 * 0.01, rel=0.02)
    cfg = Config.fromfile(work_dir / 'tiny.py')
    assert cfg.train_dataloader.sampler.type == 'RepeatAugSampler'


def test_bfloat16(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    run_tool('train', config, '--work-dir', tmp_path / 'work', '--amp', 'bfloat16')
    trained = weights(tmp_path / 'work/epoch_1.pth')
    assert all(value.isfinite().all() for value in trained.values())
    assert all(value.dtype != torch.bfloat16 for value in trained.values())


def image_folder(root: Path, size: int, splits: tuple[str, ...], count: int = 4) -> Path:
    """Three classes of plain colors with noise; ``splits`` may be ('',) for no split folders."""
    rng = np.random.RandomState(0)
    for split in splits:
        for index, name in enumerate(('blue', 'green', 'red')):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = rng.randint(0, 60, (size, size, 3))
                pixels[..., 2 - index] += 150
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f'{number}.png')
    return root


@pytest.mark.parametrize('splits', [('',), ('train', 'val')])
def test_own_images_by_one_option(tmp_path: Path, splits: tuple[str, ...]) -> None:
    """--cfg-options data_root=FOLDER: the classes follow, the snapshot tests by itself."""
    root = image_folder(tmp_path / 'images', 20, splits, count=20)
    work_dir = tmp_path / 'work'
    run_tool(
        'train',
        tiny_config(tmp_path),
        '--work-dir',
        work_dir,
        '--cfg-options',
        f'data_root={root}',
        'train_dataloader.dataset.indices=None',
        'val_dataloader.dataset.indices=None',
    )
    checkpoint = work_dir / 'epoch_1.pth'
    assert weights(checkpoint)['head.fc.weight'].shape[0] == 3
    cfg = Config.fromfile(work_dir / 'tiny.py')
    assert cfg.model.head.num_classes == 3 and cfg.test_dataloader.dataset.data_root == str(root)


def imagenet_options(root: Path) -> list[str]:
    """The options that make an ImageNet config train and validate on the images in ``root``."""
    names = "('blue','green','red')"
    loaders = ('train', 'val', 'test')
    return [
        f'data_root={root}',
        'model.head.num_classes=3',
        'data_preprocessor.num_classes=3',
        *(f'{name}_dataloader.dataset.metainfo.classes={names}' for name in loaders),
        *(f'{name}_dataloader.num_workers=0' for name in loaders),
        'train_dataloader.batch_size=4',
        *(f'train_dataloader.dataset.pipeline.1.transforms.{i}.0.scale=64' for i in (0, 1)),
        'val_dataloader.dataset.pipeline.1.scale=70',
        'val_dataloader.dataset.pipeline.2.crop_size=64',
        'val_evaluator.topk=1',
        'train_cfg.max_epochs=1',
        'default_hooks.checkpoint.interval=-1',
        'default_hooks.checkpoint.save_best=None',
    ]


def test_imagenet_config_on_a_small_folder(tmp_path: Path) -> None:
    """An epoch of the ImageNet recipe (augmentation, mixup, average of weights), made small."""
    root = image_folder(tmp_path / 'imagenet', 48, ('train', 'val'))
    run_tool(
        'train',
        ROOT / 'configs/vitaev2_vsa/vitaev2-s-vsa_8xb128_in1k.py',
        '--work-dir',
        tmp_path / 'work',
        '--auto-scale-lr',
        '--cfg-options',
        *imagenet_options(root),
    )
    log = next((tmp_path / 'work').glob('*/*.log')).read_text()
    assert 'Epoch(val) [1][1/1]' in log and 'loss' in log
    assert 'Scaling the original LR by' in log


SMALL_ARCH = """
model = dict(head=dict(in_channels=16), backbone=dict(out_indices=(1,), arch=dict(_delete_=True,
    embed_dims=(8, 8), token_dims=(16, 16), depths=(1, 1), num_heads=(2, 2), rc_heads=(2, 2),
    attention=('vsa', 'vsa'), nc_groups=(1, 4), rc_groups=(1, 4),
    window_size={window})))
"""


def test_pretraining_then_finetuning(tmp_path: Path) -> None:
    """The ImageNet-22K recipes, made small: windows of 4 become windows of 5, rates decay."""
    root = image_folder(tmp_path / 'imagenet', 48, ('train', 'val'))
    folder = ROOT / 'configs/vitaev2_vsa'
    pretraining, finetuning = tmp_path / 'pretraining.py', tmp_path / 'finetuning.py'
    base = f'_base_ = [{str(folder / "vitaev2-b-vsa_32xb128_in21k.py")!r}]'
    pretraining.write_text(base + SMALL_ARCH.format(window=4))
    base = f'_base_ = [{str(folder / "vitaev2-b-vsa_in21k-pre_8xb64_in1k.py")!r}]'
    finetuning.write_text(base + SMALL_ARCH.format(window=5))
    first, second = tmp_path / 'first', tmp_path / 'second'
    options = [
        option
        for option in imagenet_options(root)
        if not option.startswith(('val_', 'test_', 'default_hooks'))
    ]
    run_tool('train', pretraining, '--work-dir', first, '--cfg-options', *options)
    run_tool(
        'train',
        finetuning,
        '--work-dir',
        second,
        '--cfg-options',
        f'model.backbone.init_cfg.checkpoint={first}/epoch_1.pth',
        *imagenet_options(root),
        'optim_wrapper.optimizer.lr=0',
        'default_hooks.checkpoint.interval=1',
    )
    log = next(second.glob('*/*.log')).read_text()
    assert 'resized stages.0.blocks.0.attn.relative_position_bias_table: (49, 2) -> (81, 2)' in log
    checkpoint = torch.load(second / 'epoch_1.pth', map_location='cpu', weights_only=False)
    trained, start = checkpoint['state_dict'], weights(first / 'epoch_1.pth')
    name = 'backbone.stages.1.blocks.0.mlp.fc1.weight'
    torch.testing.assert_close(trained[name], start[name], rtol=0, atol=0)
    scales = {group['lr_scale'] for group in checkpoint['optimizer']['param_groups']}
    assert sorted(scales) == pytest.approx([0.9**4, 0.9**3, 0.9**2, 0.9, 1])


@pytest.mark.parametrize('path', [DETECTION, SEGMENTATION], ids=['mmdet', 'mmseg'])
def test_detection_and_segmentation(tmp_path: Path, path: Path) -> None:
    """The same two tools train, test, draw and keep predictions for mmdet and mmseg configs."""
    work_dir, shown, out = tmp_path / 'work', tmp_path / 'shown', tmp_path / 'out.pkl'
    options = [
        '--cfg-options',
        f'data_root={write_tiny_scenes(tmp_path)}',
        'train_cfg.max_epochs=1',
        'model.backbone.init_cfg=None',
        *(f'{name}_dataloader.num_workers=0' for name in ('train', 'val', 'test')),
    ]
    # mmcv's NMS for the CPU takes float32 only.
    amp = ['--amp', 'bfloat16'] if path == SEGMENTATION else []
    run_tool('train', path, '--work-dir', work_dir, *amp, '--no-validate', *options)
    checkpoint = work_dir / 'epoch_1.pth'
    run_tool(
        'test',
        path,
        checkpoint,
        '--work-dir',
        work_dir,
        '--show-dir',
        shown,
        '--out',
        out,
        *options,
    )
    assert out.stat().st_size > 0
    assert len(list(tmp_path.glob('**/shown/**/*.png'))) == 4


def error_of(capsys: pytest.CaptureFixture, tool: str, *args: object) -> str:
    """The one line that a failing tool prints."""
    with pytest.raises(SystemExit) as exit_:
        run_tool(tool, *args)
    assert exit_.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith('error: ')
    assert sum('Traceback' in line for line in lines) == 0
    return lines[-1]


class TestErrors:
    def test_missing_config(self, capsys: pytest.CaptureFixture) -> None:
        error = error_of(capsys, 'train', 'configs/vitaev2_vsa/vitaev2-s-vsa_8xb128_ink.py')
        assert 'vitaev2-s-vsa_8xb128_in1k.py' in error

    def test_missing_dataset(self, capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
        config = ROOT / 'configs/vitaev2/vitaev2-s_8xb128_in1k.py'
        error = error_of(capsys, 'train', config, '--work-dir', tmp_path)
        assert 'train_dataloader.dataset.data_root' in error and 'data/imagenet' in error
        assert '--cfg-options data_root=PATH' in error

    def test_missing_data_root(self, capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
        missing = tmp_path / 'nowhere'
        error = error_of(capsys, 'train', QUICKSTART, '--cfg-options', f'data_root={missing}')
        assert str(missing) in error

    def test_no_class_folders(self, capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
        error = error_of(capsys, 'train', QUICKSTART, '--cfg-options', f'data_root={tmp_path}')
        assert 'one folder per class' in error

    def test_unwritable_work_dir(self, capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
        (tmp_path / 'file').write_text('')
        work_dir = tmp_path / 'file/work'  # not even root can write under a file
        error = error_of(capsys, 'train', QUICKSTART, '--work-dir', work_dir)
        assert str(work_dir) in error and '--work-dir' in error

    def test_missing_checkpoint(self, capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
        (tmp_path / 'epoch_3.pth').write_text('')
        error = error_of(capsys, 'test', QUICKSTART, tmp_path / 'epoch_4.pth')
        assert 'epoch_4.pth does not exist' in error and 'epoch_3.pth' in error

    def test_missing_resume(self, capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
        error = error_of(capsys, 'train', QUICKSTART, '--resume', tmp_path / 'epoch_4.pth')
        assert 'epoch_4.pth does not exist' in error

    def test_missing_pretrained(self, capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
        init = 'model.backbone.init_cfg.'
        options = (f'{init}type=Pretrained', f'{init}checkpoint={tmp_path}/none.pth')
        error = error_of(capsys, 'train', QUICKSTART, '--cfg-options', *options)
        assert 'none.pth' in error and 'model.backbone.init_cfg=None' in error

    def test_the_config_that_makes_the_checkpoint_is_named(
        self, capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        error = error_of(capsys, 'train', DETECTION)
        checkpoint = Path(load_config(DETECTION).model.backbone.init_cfg.checkpoint)
        maker = CLASSIFICATION.with_name(f'{checkpoint.parent.name}.py')
        assert maker == CLASSIFICATION and f'tools/train.py {maker}, ' in error
        assert load_config(maker).default_hooks.checkpoint.filename_tmpl == checkpoint.name

    def test_float16_needs_a_gpu(self, capsys: pytest.CaptureFixture) -> None:
        if torch.cuda.is_available():
            pytest.skip(reason='with a GPU float16 is allowed')
        error = error_of(capsys, 'train', QUICKSTART, '--amp', 'float16')
        assert '--amp bfloat16' in error

    def test_launcher_without_variables(
        self, capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if torch.cuda.is_available():
            pytest.skip(reason='with a GPU MMEngine starts the processes and reports')
        monkeypatch.delenv('RANK', raising=False)
        error = error_of(
            capsys, 'train', QUICKSTART, '--work-dir', tmp_path, '--launcher', 'pytorch'
        )
        assert 'RANK' in error and 'dist_train.sh' in error

    def test_wrong_out(self, capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
        checkpoint = tmp_path / 'epoch_1.pth'
        checkpoint.write_text('')
        out = tmp_path / 'out.txt'
        error = error_of(
            capsys, 'test', QUICKSTART, checkpoint, '--work-dir', tmp_path, '--out', out
        )
        assert '.pkl' in error and '.json' in error
