"""What is a split, a class, an image: the rules for folders of images, in one place.

- Names that begin with a dot or that file managers and archives leave behind are ignored.
- ``train`` and a held-out folder (``val`` before ``test``, in the spellings of
  :data:`SPLIT_NAMES`, in any case) are splits where ``train`` holds folders. Where it holds
  images, it is a class.
- Classes are the folders of ``train``, sorted; the held-out folder is labeled by these names.
- Images are the files below a class folder, at any depth, that the decoder reads.
"""

import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmvsa.suggestions import did_you_mean

from .errors import DatasetError
from .held_out import SPLITS
from .images import IMAGE_SUFFIXES

# In the order of preference.
SPLIT_NAMES = {
    'train': ('train', 'training', 'trn'),
    'test': ('val', 'valid', 'validation', 'dev', 'test', 'testing', 'tst'),
}
_LEFT_BEHIND = ('__MACOSX', '@eaDir', '$RECYCLE.BIN', 'lost+found', '__pycache__')
_SHOWN = 5  # names in a message


@dataclass(frozen=True)
class ClassFolders:
    """The folders of a dataset that has one folder for each class.

    Attributes:
        root: What the user named.
        train: Folder that holds the classes of the training split.
        test: That of the held-out split; None where it is taken from ``train``.
        classes: Sorted names; the label is the position.
    """

    root: Path
    train: Path
    test: Path | None
    classes: tuple[str, ...]

    @property
    def has_own_split(self) -> bool:
        """Whether the held-out images have a folder of their own."""
        return self.test is not None

    def split_folder(self, split: str) -> Path:
        """Return the folder whose classes a split is made of."""
        return self.test if split == 'test' and self.test is not None else self.train

    def samples(
        self,
        split: str,
        suffixes: Sequence[str] = IMAGE_SUFFIXES,
        *,
        allow_empty: bool = False,
    ) -> list[tuple[str, int]]:
        """List the images of a split's folder.

        Args:
            split: ``'train'`` or ``'test'``.
            suffixes: Of images, in lower case.
            allow_empty: Take files without content too, to be skipped later.

        Returns:
            (path relative to :meth:`split_folder`, label) of each, sorted.

        Raises:
            DatasetError: A class of ``train`` has no image, the held-out split has none, or a file
                is empty; the message names it.
        """
        folder = self.split_folder(split)
        found: list[tuple[str, int]] = []
        empty: list[Path] = []
        others = Counter[str]()
        for label, name in enumerate(self.classes):
            count = len(found)
            for path in _walk(folder / name):
                suffix = path.suffix.lower()
                if suffix not in suffixes:
                    others[suffix or 'no suffix'] += 1
                    continue
                if not allow_empty and not path.stat().st_size:
                    empty.append(path)
                found.append((str(path.relative_to(folder)), label))
            if len(found) == count and folder == self.train:
                raise DatasetError(
                    f'{folder / name} has no image{_listed_suffixes(others)}; images end with '
                    f'{" ".join(suffixes)}'
                )
        if empty:
            raise DatasetError(f'empty files: {_listed(empty)}; remove them or skip bad images')
        if not found:
            raise DatasetError(f'{folder} has no image of the classes {_listed(self.classes)}')
        if others:
            warnings.warn(f'{folder}: left out{_listed_suffixes(others)}', stacklevel=2)
        if not self.has_own_split:
            self._check_can_hold_out(found)
        return found

    def _check_can_hold_out(self, samples: list[tuple[str, int]]) -> None:
        counts = Counter(label for _, label in samples)
        single = [self.train / self.classes[label] for label, count in counts.items() if count < 2]
        if single:
            raise DatasetError(
                f'one image only: {_listed(single)}; a fifth is held out of every class, which '
                'needs two or more'
            )


def find_class_folders(data_root: str | os.PathLike) -> ClassFolders:
    """Find splits and classes below ``data_root``.

    Raises:
        DatasetError: There are no classes, only one, or they seem to be one level up or down; the
            held-out folder is missing or has a class that ``train`` has not.
    """
    root = Path(data_root)
    if not root.is_dir():
        raise DatasetError(f'{root} is not a folder')
    folders = _folders(root)
    train, test = (_split_folder(root, folders, split) for split in SPLITS)
    if train is None:
        _question_classes(root, [folder.name for folder in folders])
        return ClassFolders(root, root, None, tuple(folder.name for folder in folders))
    classes = [folder.name for folder in _folders(train)]
    _question_classes(train, classes)
    if test is None:
        raise DatasetError(
            f'{root} has {train.name}/ but no held-out class folders, such as val/{classes[0]}; '
            f'name {train} to hold out a fifth of it'
        )
    _check_names(train, classes, test)
    return ClassFolders(root, train, test, tuple(classes))


def _split_folder(root: Path, folders: list[Path], split: str) -> Path | None:
    """Return the folder of a split that holds folders; the preferred spelling wins."""
    spelled = [folder for folder in folders if folder.name.lower() in SPLIT_NAMES[split]]
    spelled = [folder for folder in spelled if _folders(folder)]
    if split == 'train' and len(spelled) > 1:
        raise DatasetError(f'{root} has several training folders: {_listed(spelled)}')
    order = SPLIT_NAMES[split].index
    return min(spelled, key=lambda folder: order(folder.name.lower()), default=None)


def _check_names(train: Path, classes: list[str], test: Path) -> None:
    held_out = [folder.name for folder in _folders(test)]
    unknown = [name for name in held_out if name not in classes]
    if unknown:
        raise DatasetError(
            f'{test} has the classes {_listed(unknown)}, which {train} has not'
            f'{did_you_mean(unknown[0], classes)}'
        )


def _question_classes(folder: Path, names: list[str]) -> None:
    """Raise DatasetError where ``names`` are hardly the classes of ``folder``."""
    if not names:
        level = ''
        if any(_is_image(path) for path in _entries(folder)):
            level = f' but images: name the folder above, {folder.resolve().parent}'
        raise DatasetError(f'{folder} has no folders{level}; it should hold one folder per class')
    inside = [[path.name for path in _folders(folder / name)] for name in names]
    if len(names) == 1:
        deeper = f'; the classes seem to be in {folder / names[0]}' if inside[0] else ''
        raise DatasetError(f'{folder} has one class only, {names[0]!r}{deeper}')
    splits = {name for spellings in SPLIT_NAMES.values() for name in spellings}
    if all(name.lower() in splits for name in names):
        raise DatasetError(
            f'{folder} has {_listed(names)}, but no training folder with one folder per class'
        )
    shared = set(inside[0]).intersection(*inside[1:])
    if len(shared) > 1 and not any(_holds_images(folder / name) for name in names):
        raise DatasetError(
            f'{folder}: {_listed(names)} all hold the folders {_listed(sorted(shared))}, which '
            f'seem to be the classes; name one of them, such as {folder / names[0]}, or put the '
            'images of a class together'
        )


def _is_ignored(name: str) -> bool:
    return name.startswith('.') or name in _LEFT_BEHIND


def _entries(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DatasetError(f'{folder} cannot be read ({error.strerror})') from error
    return [path for path in entries if not _is_ignored(path.name)]


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if os.path.isdir(path)]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not os.path.isdir(path)


def _holds_images(folder: Path) -> bool:
    return any(_is_image(path) for path in _entries(folder))


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, sorted; links to folders are followed once."""
    if not os.path.isdir(folder):
        return  # a class that the held-out split lacks
    seen = set()
    for top, names, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(top)
        names[:] = [] if real in seen else sorted(n for n in names if not _is_ignored(n))
        if real in seen:
            continue
        seen.add(real)
        for name in sorted(files):
            path = Path(top, name)
            if _is_ignored(name):
                continue
            if not path.exists():
                raise DatasetError(f'{path} is a link to a file that does not exist')
            yield path


def _listed(names: Sequence[object]) -> str:
    more = f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''
    return ', '.join(map(str, names[:_SHOWN])) + more


def _listed_suffixes(counts: Counter[str]) -> str:
    if not counts:
        return ''
    files = ', '.join(f'{count} with {suffix}' for suffix, count in counts.most_common(_SHOWN))
    return f' (files that are no images: {files})'
