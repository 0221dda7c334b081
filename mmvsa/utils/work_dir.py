"""Work dirs: one training at a time, no checkpoint overwritten by another, resuming."""

import fcntl
import os
import re
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmvsa.models import CheckpointError, read_checkpoint

from .distributed import is_first_process
from .errors import UsageError
from .files import UNFINISHED

# What MMEngine's checkpoints hold beside weights, and a training needs to continue.
TRAINING_STATE = ('meta', 'message_hub', 'optimizer')


def use_work_dir(cfg: Config, config_path: str | os.PathLike, work_dir: str | None = None) -> None:
    """Set the work dir: that of the command line, of the config, or one named by the config."""
    cfg.work_dir = work_dir or cfg.get('work_dir') or f'./work_dirs/{Path(config_path).stem}'


def check_writable(work_dir: str | os.PathLike) -> None:
    """Raise UsageError unless files can be written to the work dir, which is made if missing."""
    try:
        os.makedirs(work_dir, exist_ok=True)
        with tempfile.TemporaryFile(dir=Path(work_dir)):
            pass
    except OSError as error:
        raise UsageError(
            f'cannot write to the work dir {work_dir} ({error.strerror}); name another one with '
            '--work-dir PATH'
        ) from error


@contextmanager
def claimed(work_dir: str | os.PathLike, launcher: str = 'none') -> Iterator[None]:
    """Keep other trainings out of a work dir, and clear away what a killed one has left.

    The first process holds a lock, which the system takes back when the process ends in any way.

    Raises:
        UsageError: another training runs there, or the folder cannot be written.
    """
    if not is_first_process(launcher):
        yield
        return
    check_writable(work_dir)
    folder = Path(work_dir)
    with (folder / '.lock').open('w') as lock:
        try:
            # A lock of this process alone: its workers may outlive it by seconds.
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise UsageError(
                f'another training runs in {work_dir}; name another folder with --work-dir PATH'
            ) from error
        for unfinished in folder.glob(UNFINISHED):
            unfinished.unlink(missing_ok=True)
        yield


def use_fresh_start(cfg: Config) -> None:
    """Refuse to train from the beginning where checkpoints would be overwritten.

    Raises:
        UsageError: the folder has checkpoints.
    """
    folder = checkpoint_folder(cfg)
    found = _names(folder.glob('*.pth'))
    if found:
        raise UsageError(
            f'{folder} has checkpoints of another training ({found}): continue it with --resume, '
            'name another folder with --work-dir PATH, or move them away'
        )


def use_resume(cfg: Config, resume: str = 'auto', *, trust: bool = False) -> None:
    """Continue a training.

    Args:
        cfg: with its work dir; gets the checkpoint, and its seed where it has none.
        resume: a checkpoint; a folder, for the newest whole checkpoint in it; ``'auto'``, for that
            of the work dir. An empty work dir is trained in from the beginning.
        trust: as for :func:`~mmvsa.models.read_checkpoint`.

    Raises:
        UsageError: the checkpoint does not exist, none of the folder is whole, or newer ones would
            be overwritten.
        CheckpointError: the checkpoint is broken, or holds no state of a training.
    """
    own = checkpoint_folder(cfg)
    if resume == 'auto' and not any(own.glob('*.pth')):
        print(f'nothing to resume in {own}: training starts from the beginning')
        cfg.resume = False
        return
    folder = own if resume == 'auto' else Path(resume)
    path: str | os.PathLike
    if folder.is_dir() and not _is_sharded(folder):
        path, content = _newest(folder, trust)
    else:
        check_checkpoint(resume)
        path, content = resume, _read_training(resume, trust)
    if folder.resolve() != own.resolve():
        _check_nothing_lost(own, path)
    randomness = cfg.get('randomness') or {}
    if randomness.get('seed') is None:
        # It orders the data, and MMEngine takes it from the checkpoint after that.
        cfg.randomness = dict(randomness, seed=content['meta'].get('seed'))
    cfg.update(resume=True, load_from=str(path))


def checkpoint_folder(cfg: Config) -> Path:
    """Return where the hook of the config writes checkpoints, as MMEngine composes it."""
    hook = cfg.get('default_hooks', {}).get('checkpoint') or {}
    work_dir, out_dir = cfg.work_dir, hook.get('out_dir')
    if out_dir in (None, os.path.abspath(work_dir)):
        return Path(work_dir)
    return Path(out_dir, os.path.basename(work_dir.rstrip(os.sep)))


def check_checkpoint(path: str) -> None:
    """Raise UsageError unless the checkpoint exists; the message names those next to it."""
    if '://' in path or os.path.exists(path):
        return
    folder = Path(path).parent
    beside = sorted(file.name for file in folder.glob('*.pth')) if folder.is_dir() else []
    listing = f'; {folder} has {", ".join(beside)}' if beside else ''
    raise UsageError(f'checkpoint {path} does not exist{listing}')


def _newest(folder: Path, trust: bool) -> tuple[Path, dict[Any, Any]]:
    """Return the newest checkpoint that is whole, and print those that were passed by."""
    passed: list[str] = []
    for path in sorted(_numbered(folder), key=_age, reverse=True):
        try:
            content = _read_training(path, trust)
        except CheckpointError as error:
            passed.append(str(error))
            continue
        for reason in passed:
            print(f'passed by: {reason}')
        print(f'resuming from {path}')
        return path, content
    reasons = ''.join(f'; {reason}' for reason in passed)
    raise UsageError(
        f'{folder} has no checkpoint that a training can resume from '
        f'({_names(folder.glob("*.pth")) or "no *.pth at all"}){reasons}; name one with '
        '--resume FILE, or another folder with --work-dir PATH'
    )


def _read_training(path: str | os.PathLike, trust: bool) -> dict[Any, Any]:
    """Return a checkpoint, read whole; of a sharded one, its first part."""
    parts = sorted(Path(path).glob('rank*.pth')) if os.path.isdir(path) else [path]
    contents = []
    for part in parts:
        contents.append(read_checkpoint(part, trust=trust))
        _check_sums(part)
    for content in contents:
        missing = [key for key in TRAINING_STATE if not isinstance(content.get(key), dict)]
        meta = content.get('meta') or {}
        if missing or not all(isinstance(meta.get(key), int) for key in ('epoch', 'iter')):
            raise CheckpointError(
                f'{path} holds no training state ({", ".join(missing) or "meta"} is missing): '
                'resume from a file such as epoch_3.pth, or start a new training from these '
                f'weights with --cfg-options load_from={path}'
            )
    return contents[0]


def _check_sums(path: str | os.PathLike) -> None:
    """Raise CheckpointError where a local file has changed on the disk; PyTorch does not look."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
        if broken:
            raise CheckpointError(f'{path} is damaged: the checksum of {broken} is another')


def _check_nothing_lost(own: Path, path: str | os.PathLike) -> None:
    """Raise UsageError where a training from ``path`` would overwrite what it does not continue."""
    lost = list(own.glob('*.pth'))
    if os.path.dirname(os.path.realpath(path)) == os.path.realpath(own):
        lost = [other for other in _numbered(own) if _age(other) > _age(Path(path))]
    if lost:
        raise UsageError(
            f'{own} has {_names(lost)}, which resuming from {path} would overwrite; move them '
            'away or name another folder with --work-dir PATH'
        )


def _numbered(folder: Path) -> list[Path]:
    return [path for path in folder.glob('*.pth') if not path.name.startswith('best_')]


def _age(path: Path) -> tuple[int, float]:
    """Return the epoch or iteration that a file is named by, then its time."""
    numbers = re.findall(r'\d+', path.stem)
    return int(numbers[-1]) if numbers else -1, path.stat().st_mtime


def _is_sharded(path: Path) -> bool:
    return any(path.glob('rank*.pth'))


def _names(paths: Any) -> str:
    return ', '.join(sorted(path.name for path in paths))
