"""Mattes as images; all images are (H, W, 3) uint8, alphas (H, W) in 0 ... 1."""

import numpy as np

GREEN = (0, 255, 0)


def checkerboard(height: int, width: int, side: int = 16) -> np.ndarray:
    """Return the gray pattern that shows transparency."""
    y, x = np.ogrid[:height, :width]
    board = np.where((y // side + x // side) % 2, 153, 204).astype(np.uint8)
    return np.repeat(board[..., None], 3, axis=2)


def compose(image: np.ndarray, alpha: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Lay ``image`` over ``background`` with opacity ``alpha``."""
    alpha = alpha[..., None]
    return np.rint(alpha * image + (1 - alpha) * background).astype(np.uint8)


def draw_matte(
    image: np.ndarray, alpha: np.ndarray, target: np.ndarray | None = None
) -> np.ndarray:
    """Return the image, the target (if there is one), the alpha and the cut-out in a row."""
    mattes = [alpha] if target is None else [target, alpha]
    grays = [np.repeat(np.rint(matte * 255)[..., None], 3, axis=2) for matte in mattes]
    cut_out = compose(image, alpha, checkerboard(*alpha.shape))
    return np.hstack([image, *grays, cut_out]).astype(np.uint8)
