"""The encoder of masked autoencoders (MAE, arXiv 2111.06377) that pretrains RVSA.

Source: ``models_mae.py`` and ``models_mae_vitae.py`` of ViTAE-Transformer/Remote-Sensing-RVSA.
"""

from typing import Any

import torch
from torch import Tensor, nn

from mmvsa.models.backbones.rvsa import RVSA
from mmvsa.models.checks import check_rate
from mmvsa.models.layers import TokenBlock, sincos_position
from mmvsa.registry import MODELS


@MODELS.register_module()
class MAEEncoder(RVSA):
    """ViT or ViTAE with a class token, for mmpretrain's ``MAE``.

    The names of its parameters are those of :class:`~mmvsa.models.backbones.RVSA`, which loads its
    checkpoints as they are. All attention is full, without relative positions; the absolute ones
    are fixed sines and cosines. The convolutions of ViTAE have 1x1 kernels, since visible patches
    have no neighbors; RVSA takes them as the centers of its 3x3 kernels.

    Args:
        arch: As for RVSA; what it says of windows does not matter here.
        mask_ratio: Share of the patches that are hidden. With 0, nothing is hidden and the class
            token is returned, for classifiers.
        img_size: Image for which positions are kept; others get interpolated ones.
        options: in_channels, frozen_stages, norm_eval, with_cp and init_cfg of
            :class:`~mmvsa.models.backbones.base.Backbone`; the final norm is frozen with the last
            block.

    Input (B, 3, H, W). Output, while it masks: the normalized class token and visible patches
    (B, 1 + V, C), which patches are hidden (B, N; 1 is hidden), and the place of each patch among
    the visible, then the hidden ones (B, N). Otherwise a tuple of the normalized class token
    (B, C).

    Raises:
        ValueError: As RVSA; ``mask_ratio`` is outside [0, 1), or hides all patches of an image.
        TypeError: As RVSA.
    """

    block_type = TokenBlock
    pcm_kernel = 1

    def __init__(
        self,
        arch: str | dict[str, Any] = 'vit-b',
        *,
        mask_ratio: float = 0.75,
        img_size: int | tuple[int, int] = 224,
        **options: Any,
    ) -> None:
        full = dict(type='FullAttention', position=None)
        super().__init__(arch, attention=full, img_size=img_size, **options)
        self.mask_ratio = check_rate('mask_ratio', mask_ratio)
        dims = self.out_channels[0]
        self.cls_token = nn.Parameter(nn.init.normal_(torch.empty(1, 1, dims), std=0.02))
        self.pos_embed = nn.Parameter(
            sincos_position(self.position_size, dims), requires_grad=False
        )
        nn.init.xavier_uniform_(self.patch_embed.projection.weight.flatten(1))
        self.freeze_stages()

    def stage_modules(self, index: int) -> list[nn.Module]:
        """Return a block, the last one with the final norm."""
        return [self.blocks[index], *([self.norm] if index == len(self.blocks) - 1 else [])]

    def forward(  # type: ignore[override]
        self, x: Tensor, mask: bool | None = True
    ) -> tuple[Tensor, ...]:
        """Encode the visible patches; with ``mask=None``, all of them, as mmpretrain calls it."""
        self.check_input(x)
        patches = self.embed(x).flatten(1, 2)
        if not (mask and self.mask_ratio):
            return (self._encode(patches)[:, 0],)
        visible, hidden, places = self._hide(patches)
        return self._encode(visible), hidden, places

    def _encode(self, patches: Tensor) -> Tensor:
        """Encode any patches with the class token: (B, V, C) -> (B, 1 + V, C)."""
        tokens = torch.cat((self.cls_token.expand(len(patches), -1, -1), patches), 1)
        size = (1, patches.shape[1])  # 1x1 kernels do not mind the shape
        for block in self.blocks:
            tokens = self.run_cell(block, tokens, size)
        return self.norm(tokens)

    def _hide(self, patches: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return random patches (B, V, C), the mask (B, N) and the places (B, N)."""
        batch, count, dims = patches.shape
        visible = int(count * (1 - self.mask_ratio))
        if not visible:
            raise ValueError(f'mask_ratio={self.mask_ratio} hides all {count} patches of an image')
        order = torch.rand(batch, count, device=patches.device).argsort(1)
        places = order.argsort(1)
        kept = order[:, :visible, None].expand(-1, -1, dims)
        return patches.gather(1, kept), (places >= visible).float(), places
