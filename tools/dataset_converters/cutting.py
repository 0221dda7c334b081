"""Cutting large images into patches: what the converters share.

A folder of patches appears when all of them are written. A second run continues where the first
one was stopped, and leaves complete folders alone.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track

from mmvsa.datasets.images import write_image
from mmvsa.utils import UsageError

# Rows and columns of a patch.
Window = tuple[slice, slice]


@dataclass(frozen=True)
class Scene:
    """Images of one place, which are cut alike.

    Attributes:
        paths: one image of each kind.
        windows: name of a patch, without suffix -> where it is.
        read: return the pixels of ``paths``, (H, W) or (H, W, 3) in BGR.
    """

    paths: tuple[Path, ...]
    windows: Mapping[str, Window]
    read: Callable[[tuple[Path, ...]], Sequence[np.ndarray]]


@dataclass(frozen=True)
class Target:
    """Where the patches of one kind go.

    Attributes:
        folder: the folder.
        suffix: end of their names.
        tag: of options that are not in the names of patches; those of another tag are not mixed in.
    """

    folder: Path
    suffix: str = '.png'
    tag: str = ''

    @property
    def partial(self) -> Path:
        """Where patches are until all of them are written."""
        return self.folder.with_name(f'.{self.folder.name}{self.tag}-partial')

    def wanted(self, scenes: Sequence[Scene]) -> set[str]:
        """Return the names of all its patches."""
        return {name + self.suffix for scene in scenes for name in scene.windows}


def cut(scenes: Sequence[Scene], targets: Sequence[Target], description: str) -> str:
    """Write the patches of all scenes; return what was done.

    Args:
        scenes: what to cut.
        targets: one for each of the paths of a scene.
        description: for the progress bar.

    Raises:
        UsageError: a folder holds something else.
    """
    open_targets = [target for target in targets if not _is_complete(target, scenes)]
    places = ' and '.join(str(target.folder) for target in targets)
    count = sum(len(scene.windows) for scene in scenes)
    if not open_targets:
        return f'{places} has its {count} patches already'
    for target in open_targets:
        target.partial.mkdir(parents=True, exist_ok=True)
        for name in _names(target.partial) - target.wanted(scenes):
            (target.partial / name).unlink()  # a patch that was not finished
    for scene in track(scenes, description=description):
        _cut_scene(scene, targets, open_targets)
    for target in open_targets:
        os.replace(target.partial, target.folder)
    return f'{count} patches in {places}'


def _is_complete(target: Target, scenes: Sequence[Scene]) -> bool:
    if not target.folder.exists():
        return False
    wanted = target.wanted(scenes)
    if _names(target.folder) != wanted:
        raise UsageError(
            f'{target.folder} exists and does not hold the {len(wanted)} patches of '
            f'{scenes[0].paths[0].parent}; remove it, or name another folder with --out'
        )
    return True


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _cut_scene(scene: Scene, targets: Sequence[Target], open_targets: Sequence[Target]) -> None:
    missing = [t for t in open_targets for name in scene.windows if not _patch(t, name).exists()]
    if not missing:
        return
    for target, image in zip(targets, scene.read(scene.paths), strict=True):
        if target in open_targets:
            for name, window in scene.windows.items():
                write_image(_patch(target, name), image[window])


def _patch(target: Target, name: str) -> Path:
    return target.partial / (name + target.suffix)
