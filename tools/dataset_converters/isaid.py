"""Cut iSAID into patches with labels: {train,val}/ -> {img_dir,ann_dir}/{train,val}.

Images (P0000.png) and color masks (P0000_instance_color_RGB.png) may lie anywhere below the folder
of their split. Patches are those of RSP (Semantic Segmentation/tools): windows of --size pixels
that overlap by --overlap, the last ones moved inside; an image that is not larger than a window on
both sides stays whole. Colors become the indices of mmseg's iSAIDDataset. A second run continues
where the first one was stopped.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from cutting import Scene, Target, Window, cut
from mmseg.datasets import iSAIDDataset

from mmvsa.datasets import DatasetError
from mmvsa.datasets.change_maps import check_names, check_sizes
from mmvsa.datasets.images import read_image
from mmvsa.utils import UsageError, usage_errors

SPLITS = ('train', 'val')
MASK = '_instance_color_RGB'
# The official code leaves these images of the training set out.
LEFT_OUT = ('P1527', 'P1530')
# Color, red * 256^2 + green * 256 + blue, -> label.
NO_CLASS = 255
LABELS = np.full(1 << 24, NO_CLASS, np.uint8)
LABELS[np.array(iSAIDDataset.METAINFO['palette']) @ (1 << 16, 1 << 8, 1)] = range(16)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', type=Path, help='folder of iSAID, with train/ and val/')
    parser.add_argument('--out', type=Path, default=Path('data/iSAID'), help='folder to write')
    parser.add_argument('--size', type=int, default=896, help='side of a patch, pixels')
    parser.add_argument('--overlap', type=int, default=384, help='of neighbors, pixels')
    parser.add_argument('--splits', nargs='+', choices=SPLITS, default=SPLITS)
    return parser.parse_args()


def find_scenes(folder: Path, size: int, overlap: int) -> list[Scene]:
    """Return the images of a split's folder with their masks, checked.

    Raises:
        UsageError: there is no image.
        DatasetError: an image or a mask has no partner, or another size than it.
    """
    images = _by_name(path for path in folder.rglob('*.png') if '_' not in path.stem)
    masks = _by_name(folder.rglob(f'*{MASK}.png'))
    if not images:
        raise UsageError(f'there is no image below {folder}, such as {folder}/images/P0000.png')
    check_names({f'{folder} (images)': images, f'{folder} (*{MASK}.png)': masks})
    scenes = []
    for name in sorted(images):
        paths = (Path(images[name]), Path(masks[name]))
        scenes.append(Scene(paths, windows(name, check_sizes(paths), size, overlap), read_labeled))
    return scenes


def _by_name(paths: Iterable[Path]) -> dict[str, str]:
    """Name of an image -> its path, without those that are left out."""
    found: dict[str, str] = {}
    for path in sorted(paths):
        name = path.stem.removesuffix(MASK)
        if name in found:
            raise DatasetError(f'{found[name]} and {path} have the same name')
        if name not in LEFT_OUT:
            found[name] = str(path)
    return found


def windows(name: str, image: tuple[int, int], size: int, overlap: int) -> Mapping[str, Window]:
    """Name every patch of an image of (height, width) by its rows and columns."""
    if min(image) <= size:
        return {name: (slice(None), slice(None))}
    rows, columns = (
        [min(start, side - size) for start in range(0, side, size - overlap)] for side in image
    )
    return {
        f'{name}_{top}_{top + size}_{left}_{left + size}': (
            slice(top, top + size),
            slice(left, left + size),
        )
        for top in rows
        for left in columns
    }


def read_labeled(paths: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Read an image and the labels of its mask."""
    image, mask = paths
    return read_image(image), read_labels(mask)


def read_labels(path: Path) -> np.ndarray:
    """Read a color mask.

    Returns:
        (H, W) uint8, indices of classes; 0 is the background.

    Raises:
        DatasetError: no image at ``path``, or one with a color that is no class.
    """
    blue, green, red = (np.asarray(part, np.int32) for part in cv2.split(read_image(path)))
    colors = red << 16 | green << 8 | blue
    labels = LABELS[colors]
    unknown = colors[labels == NO_CLASS]
    if unknown.size:
        values = tuple(int(unknown[0]).to_bytes(3, 'big'))
        raise DatasetError(
            f'{path} has {unknown.size} pixels of a color that is no class of iSAID, such as red, '
            f'green, blue = {values}'
        )
    return labels


def main() -> None:
    args = parse_args()
    with usage_errors():
        if not 0 <= args.overlap < args.size:
            raise UsageError(
                f'--overlap must be at least 0 and less than --size {args.size}, got {args.overlap}'
            )
        found = {
            split: find_scenes(args.source / split, args.size, args.overlap)
            for split in args.splits
        }
        for split, scenes in found.items():
            images = Target(args.out / 'img_dir' / split)
            labels = Target(args.out / 'ann_dir' / split, suffix=f'{MASK}.png')
            print(cut(scenes, (images, labels), split))


if __name__ == '__main__':
    main()
