"""Cut LEVIR-CD into patches: {train,val,test}/{A,B,label} -> {train,val,test}/{A,B,OUT}.

The folder of a split appears when all its patches are written. A second run continues where the
first one was stopped, and leaves complete splits alone.
"""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.progress import track

from mmvsa.datasets.change_maps import (
    CHANGED,
    check_names,
    check_sizes,
    read_change_map,
    read_image,
)
from mmvsa.utils import UsageError, usage_errors

SPLITS = ('train', 'val', 'test')
# Folder of LEVIR-CD -> folder of the official code.
FOLDERS = {'A': 'A', 'B': 'B', 'label': 'OUT'}


@dataclass(frozen=True)
class Scene:
    """One pair of LEVIR-CD.

    Attributes:
        name: without suffix.
        paths: first image, second image and change map.
        size: (height, width) in pixels.
    """

    name: str
    paths: tuple[Path, ...]
    size: tuple[int, int]

    def patches(self, side: int) -> dict[str, tuple[slice, slice]]:
        """File name -> (rows, columns) of every patch of ``side`` pixels."""
        return {
            f'{self.name}_{top:04d}_{left:04d}.png': (
                slice(top, top + side),
                slice(left, left + side),
            )
            for top in range(0, self.size[0], side)
            for left in range(0, self.size[1], side)
        }


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('source', type=Path, help='folder of LEVIR-CD')
    parser.add_argument('--out', type=Path, default=Path('data/levir_256'), help='folder to write')
    parser.add_argument('--size', type=int, default=256, help='side of a patch, pixels')
    parser.add_argument('--splits', nargs='+', choices=SPLITS, default=SPLITS)
    return parser.parse_args()


def find_scenes(folder: Path, side: int) -> list[Scene]:
    """Return the scenes of a split's folder, checked.

    Raises:
        UsageError: a folder is missing, or ``side`` does not divide an image.
        DatasetError: a file has no partner, or another size than it.
    """
    files = {}
    for name in FOLDERS:
        if not (folder / name).is_dir():
            raise UsageError(f'there is no folder {folder / name}; is {folder.parent} LEVIR-CD?')
        images = sorted((folder / name).glob('[!.]*.png'))
        files[str(folder / name)] = {image.stem: str(image) for image in images}
    check_names(files)
    scenes = []
    for name in sorted(files[str(folder / 'A')]):
        paths = tuple(Path(found[name]) for found in files.values())
        size = check_sizes(paths)
        if size[0] % side or size[1] % side:
            raise UsageError(
                f'{paths[0]} is {size[1]}x{size[0]}, which --size {side} does not divide'
            )
        scenes.append(Scene(name, paths, size))
    if not scenes:
        raise UsageError(f'{folder / "A"} has no .png image')
    return scenes


def cut_split(scenes: list[Scene], target: Path, side: int) -> str:
    """Write the patches of a split to ``target``; returns what was done.

    Raises:
        UsageError: ``target`` holds something else.
    """
    wanted = {name for scene in scenes for name in scene.patches(side)}
    if target.exists():
        if all(_names(target / folder) == wanted for folder in FOLDERS.values()):
            return f'{target} has its {len(wanted)} patches already'
        raise UsageError(
            f'{target} exists and does not hold the {len(wanted)} patches of '
            f'{scenes[0].paths[0].parents[1]}; remove it, or name another folder with --out'
        )
    partial = target.with_name(f'.{target.name}-{side}-partial')
    for folder in FOLDERS.values():
        (partial / folder).mkdir(parents=True, exist_ok=True)
        for name in _names(partial / folder) - wanted:
            (partial / folder / name).unlink()  # a patch that was not finished
    for scene in track(scenes, description=target.name):
        _cut_scene(scene, partial, side)
    os.replace(partial, target)
    return f'{len(wanted)} patches in {target}'


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _cut_scene(scene: Scene, folder: Path, side: int) -> None:
    patches = scene.patches(side)
    targets = [folder / name for name in FOLDERS.values()]
    if all((target / name).exists() for target in targets for name in patches):
        return
    before, after, changes = scene.paths
    images = (read_image(before), read_image(after), read_change_map(changes) * np.uint8(CHANGED))
    for target, image in zip(targets, images, strict=True):
        for name, window in patches.items():
            _write_png(target / name, image[window])


def _write_png(path: Path, image: np.ndarray) -> None:
    unfinished = path.with_name(f'{path.name}.part')
    unfinished.write_bytes(cv2.imencode('.png', image)[1].tobytes())
    os.replace(unfinished, path)


def main() -> None:
    args = parse_args()
    with usage_errors():
        if args.size < 1:
            raise UsageError(f'--size must be at least 1, got {args.size}')
        scenes = {split: find_scenes(args.source / split, args.size) for split in args.splits}
        for split, found in scenes.items():
            print(cut_split(found, args.out / split, args.size))


if __name__ == '__main__':
    main()
