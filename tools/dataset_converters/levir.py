"""Cut LEVIR-CD into patches: {train,val,test}/{A,B,label} -> {train,val,test}/{A,B,OUT}.

A second run continues where the first one was stopped.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from cutting import Scene, Target, Window, cut

from mmvsa.datasets.change_maps import CHANGED, check_names, check_sizes, read_change_map
from mmvsa.datasets.images import read_image
from mmvsa.utils import UsageError, usage_errors

SPLITS = ('train', 'val', 'test')
# Folder of LEVIR-CD -> folder of the official code.
FOLDERS = {'A': 'A', 'B': 'B', 'label': 'OUT'}


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
        scenes.append(Scene(paths, windows(name, size, side), read_pair))
    if not scenes:
        raise UsageError(f'{folder / "A"} has no .png image')
    return scenes


def windows(name: str, size: tuple[int, int], side: int) -> dict[str, Window]:
    """Name every patch of an image of (height, width); ``side`` divides both."""
    return {
        f'{name}_{top:04d}_{left:04d}': (slice(top, top + side), slice(left, left + side))
        for top in range(0, size[0], side)
        for left in range(0, size[1], side)
    }


def read_pair(paths: Sequence[Path]) -> tuple[np.ndarray, ...]:
    """Read both images and the change map, 0 and 255."""
    before, after, changes = paths
    return read_image(before), read_image(after), read_change_map(changes) * np.uint8(CHANGED)


def main() -> None:
    args = parse_args()
    with usage_errors():
        if args.size < 1:
            raise UsageError(f'--size must be at least 1, got {args.size}')
        scenes = {split: find_scenes(args.source / split, args.size) for split in args.splits}
        for split, found in scenes.items():
            folders = [args.out / split / name for name in FOLDERS.values()]
            targets = [Target(folder, tag=f'-{args.size}') for folder in folders]
            print(cut(found, targets, split))


if __name__ == '__main__':
    main()
