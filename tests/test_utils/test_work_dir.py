"""What a training does with the checkpoints that it finds."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from mmvsa.models import CheckpointError
from mmvsa.utils import UsageError, claimed, use_fresh_start, use_resume, use_work_dir
from mmvsa.utils.work_dir import check_checkpoint, check_writable, checkpoint_folder


def save(folder: Path, *names: str, **content: Any) -> None:
    """Write checkpoints as MMEngine's are."""
    folder.mkdir(exist_ok=True)
    for name in names:
        whole = dict(
            state_dict=dict(w=torch.zeros(1)),
            meta=dict(epoch=1, iter=4, seed=5),
            message_hub={},
            optimizer=dict(state={}, param_groups=[]),
        )
        torch.save({**whole, **content}, folder / name)


def config(work_dir: Path, **options: Any) -> Config:
    return Config(dict(work_dir=str(work_dir), **options))


def resumed(work_dir: Path, resume: object = 'auto') -> str:
    """Return the name of the checkpoint that a training resumes from."""
    cfg = config(work_dir)
    use_resume(cfg, str(resume))
    assert cfg.resume is True and os.path.isfile(cfg.load_from)
    return os.path.relpath(cfg.load_from, work_dir)


def truncate(path: Path, size: int | None = None) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 if size is None else size])


def test_the_work_dir_is_that_of_the_command_line_or_the_config() -> None:
    cfg = Config({})
    use_work_dir(cfg, 'configs/a.py')
    assert cfg.work_dir == './work_dirs/a'
    use_work_dir(cfg, 'configs/b.py')
    assert cfg.work_dir == './work_dirs/a'
    use_work_dir(cfg, 'configs/b.py', 'w')
    assert cfg.work_dir == 'w'


def test_the_newest_whole_file_is_taken_and_others_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """By the number in the name: a copied folder has no times, nor a right last_checkpoint."""
    save(tmp_path, 'epoch_2.pth', 'epoch_9.pth', 'epoch_10.pth', 'epoch_11.pth', 'epoch_12.pth')
    save(tmp_path, 'best_accuracy_epoch_99.pth')
    (tmp_path / 'last_checkpoint').write_text('/elsewhere/epoch_1.pth')
    os.utime(tmp_path / 'epoch_2.pth')
    assert resumed(tmp_path) == 'epoch_12.pth'
    assert 'passed by' not in capsys.readouterr().out
    truncate(tmp_path / 'epoch_12.pth')
    truncate(tmp_path / 'epoch_11.pth', 0)
    assert resumed(tmp_path) == 'epoch_10.pth'
    output = capsys.readouterr().out
    assert 'resuming from' in output and 'epoch_10.pth' in output
    assert output.count('passed by') == 2
    assert 'epoch_12.pth cannot be read' in output and 'it is empty' in output


def test_a_flipped_byte_is_no_whole_file(tmp_path: Path) -> None:
    save(tmp_path, 'epoch_1.pth', 'epoch_2.pth', state_dict=dict(w=torch.ones(999)))
    path = tmp_path / 'epoch_2.pth'
    content = bytearray(path.read_bytes())
    place = content.find(torch.ones(4).numpy().tobytes())
    content[place] ^= 255
    path.write_bytes(content)
    assert resumed(tmp_path) == 'epoch_1.pth'


def test_a_named_folder(tmp_path: Path) -> None:
    save(tmp_path / 'old', 'epoch_1.pth', 'epoch_2.pth')
    assert resumed(tmp_path / 'new', tmp_path / 'old') == '../old/epoch_2.pth'


def test_the_order_of_the_data_is_that_of_the_checkpoint(tmp_path: Path) -> None:
    save(tmp_path, 'epoch_1.pth')
    for given, expected in ((None, 5), (0, 0)):
        cfg = config(tmp_path, randomness=dict(seed=given, deterministic=True))
        use_resume(cfg)
        assert cfg.randomness == dict(seed=expected, deterministic=True)


def test_nothing_to_resume(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    cfg = config(tmp_path, load_from='weights.pth')
    use_resume(cfg)
    assert cfg.resume is False and cfg.load_from == 'weights.pth'
    assert f'nothing to resume in {tmp_path}' in capsys.readouterr().out


def test_never_from_the_beginning_next_to_checkpoints(tmp_path: Path) -> None:
    save(tmp_path, 'best_accuracy_epoch_3.pth', 'epoch_3.pth')
    truncate(tmp_path / 'epoch_3.pth')
    with pytest.raises(UsageError, match='no checkpoint that a training can resume from'):
        use_resume(config(tmp_path))
    with pytest.raises(UsageError, match='has checkpoints .*epoch_3.pth.*--resume.*--work-dir'):
        use_fresh_start(config(tmp_path))
    use_fresh_start(config(tmp_path / 'new'))


@pytest.mark.parametrize('key', ['meta', 'message_hub', 'optimizer'])
def test_a_file_without_training_state(tmp_path: Path, key: str) -> None:
    save(tmp_path, 'best.pth', **{key: None})
    path = tmp_path / 'best.pth'
    with pytest.raises(CheckpointError, match=rf'no training state \({key}.*load_from={path}'):
        use_resume(config(tmp_path), str(path))


def test_a_newer_file_is_not_overwritten(tmp_path: Path) -> None:
    save(tmp_path / 'a', 'epoch_1.pth', 'epoch_2.pth', 'best_accuracy_epoch_2.pth')
    save(tmp_path / 'b', 'epoch_1.pth')
    with pytest.raises(UsageError, match='a has epoch_2.pth, which resuming from .*overwrite'):
        resumed(tmp_path / 'a', tmp_path / 'a/epoch_1.pth')
    with pytest.raises(UsageError, match='b has epoch_1.pth, which'):
        resumed(tmp_path / 'b', tmp_path / 'a/epoch_2.pth')
    with pytest.raises(UsageError, match='b has epoch_1.pth, which'):
        resumed(tmp_path / 'b', tmp_path / 'a')
    assert resumed(tmp_path / 'a', tmp_path / 'a/epoch_2.pth') == 'epoch_2.pth'
    assert resumed(tmp_path / 'c', tmp_path / 'a/epoch_1.pth') == '../a/epoch_1.pth'


def test_sharded_checkpoints(tmp_path: Path) -> None:
    """FSDP with ``state_dict_cfg='local'`` writes a folder with a file of each process."""
    save(tmp_path, 'epoch_1.pth')
    save(tmp_path / 'epoch_2.pth', 'rank0.pth', 'rank1.pth')
    cfg = config(tmp_path)
    use_resume(cfg)
    assert cfg.load_from == str(tmp_path / 'epoch_2.pth')
    truncate(tmp_path / 'epoch_2.pth/rank1.pth')
    assert resumed(tmp_path) == 'epoch_1.pth'


def test_checkpoints_in_another_folder(tmp_path: Path) -> None:
    hooks = dict(checkpoint=dict(out_dir=str(tmp_path / 'disk')))
    cfg = config(tmp_path / 'run', default_hooks=hooks)
    assert checkpoint_folder(cfg) == tmp_path / 'disk/run'
    (tmp_path / 'disk').mkdir()
    save(tmp_path / 'disk/run', 'epoch_1.pth')
    use_resume(cfg)
    assert cfg.load_from == str(tmp_path / 'disk/run/epoch_1.pth')


def test_missing_checkpoint_names_those_next_to_it(tmp_path: Path) -> None:
    (tmp_path / 'epoch_1.pth').touch()
    with pytest.raises(UsageError, match='epoch_2.pth does not exist; .* has epoch_1.pth'):
        check_checkpoint(str(tmp_path / 'epoch_2.pth'))
    check_checkpoint('s3://bucket/epoch_2.pth')


def test_unwritable(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(UsageError, match=r'cannot write to the work dir .*--work-dir'):
        check_writable(tmp_path / 'file/work')


def test_one_training_at_a_time(tmp_path: Path) -> None:
    """A lock ends with its process, however that ends; what it was writing is cleared away."""
    code = (
        'import os, sys\nfrom mmvsa.utils import claimed\n'
        f'with claimed({str(tmp_path)!r}):\n'
        "    print('in', flush=True)\n    sys.stdin.read()\n"
    )
    (tmp_path / '.epoch_1.pth.123.tmp').touch()
    with subprocess.Popen(
        [sys.executable, '-c', code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout and b'in\n' in iter(other.stdout.readline, b'')
        (tmp_path / '.epoch_2.pth.123.tmp').touch()
        with pytest.raises(UsageError, match='another training runs in'), claimed(tmp_path):
            pass
        assert [path.name for path in tmp_path.glob('.*.tmp')] == ['.epoch_2.pth.123.tmp']
        other.kill()
    with claimed(tmp_path):
        assert not list(tmp_path.glob('.*.tmp'))


def test_only_the_first_process_claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('RANK', '1')
    with claimed(tmp_path / 'work', 'pytorch'):
        assert not (tmp_path / 'work').exists()
