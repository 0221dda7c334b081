"""Absolute position embeddings for maps of any size."""

import torch
import torch.nn.functional as F
from torch import Tensor


def resize_position(embedding: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Interpolate position embeddings of a map (bicubic) for a map of another size.

    Args:
        embedding: (1, E + H*W, C); the first E, such as a class token's, stay as they are.
        old: (H, W) that it is for.
        new: (H', W') that it is wanted for.

    Returns:
        (1, E + H'*W', C).
    """
    if old == new:
        return embedding
    extra = embedding.shape[1] - old[0] * old[1]
    image = embedding[:, extra:].unflatten(1, old).permute(0, 3, 1, 2).float()  # 1, C, H, W
    image = F.interpolate(image, size=new, mode='bicubic', align_corners=False)
    resized = image.flatten(2).transpose(1, 2).to(embedding.dtype)
    return torch.cat((embedding[:, :extra], resized), 1)
