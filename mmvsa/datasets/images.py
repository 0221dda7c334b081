"""Image files: which there are, and reading and writing them with errors that name the file."""

import os
from pathlib import Path

import cv2
import numpy as np
from mmengine import fileio
from PIL import Image

from .errors import DatasetError

# What OpenCV decodes: https://docs.opencv.org/4.x/d4/da8/group__imgcodecs.html
IMAGE_SUFFIXES = tuple(
    '.jpg .jpeg .jpe .jfif .png .apng .webp .bmp .gif .tif .tiff .avif .jp2 .j2k .ppm .pgm .pbm '
    '.pnm .pxm .pfm .ras .sr .hdr .pic'.split()
)


def read_image(path: str | os.PathLike, flags: int = cv2.IMREAD_COLOR) -> np.ndarray:
    """Read an image of any format that OpenCV decodes, or of a URL.

    Args:
        path: The file.
        flags: OpenCV's; by default gray, palette and RGBA files get three channels too.

    Returns:
        (H, W, 3) uint8 in BGR, or what ``flags`` say.

    Raises:
        DatasetError: There is no such file, or it cannot be decoded.
    """
    try:
        content = fileio.get(os.fspath(path))
    except OSError as error:
        raise DatasetError(f'{path} cannot be read ({error.strerror or error})') from error
    image = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None
    if image is None:
        reason = 'convert it to PNG or JPEG' if content else 'it is empty'
        raise DatasetError(f'{path} cannot be decoded as an image; {reason}')
    return image


def image_size(path: str | os.PathLike) -> tuple[int, int]:
    """Return (height, width) of an image from its header.

    Raises:
        DatasetError: As :func:`read_image`.
    """
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except FileNotFoundError as error:
        raise DatasetError(f'there is no image {path}') from error
    except OSError as error:
        raise DatasetError(f'{path} is no image, or a damaged one') from error


def write_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Write an image in the format of its suffix, whole or not at all; make its folder.

    Args:
        path: The file.
        image: (H, W), or (H, W, C) in BGR or BGRA, uint8.

    Raises:
        OSError: The file cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not by utils.files.whole_file, which waits for the disk: there may be thousands of images.
    unfinished = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        # cv2.imwrite reports a full disk by a return value only, and not always.
        unfinished.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
