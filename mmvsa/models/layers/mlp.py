"""Linear layers with the initialization of vision transformers."""

from torch import Tensor, nn

from mmvsa.models.checks import check_int, check_rate


def linear(in_features: int, out_features: int, bias: bool = True) -> nn.Linear:
    """Build a linear layer with truncated-normal weights (std 0.02) and zero bias."""
    layer = nn.Linear(in_features, out_features, bias=bias)
    nn.init.trunc_normal_(layer.weight, std=0.02)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class Mlp(nn.Module):
    """Linear, GELU, linear, on the last dimension; dropout after each linear layer.

    Args:
        embed_dims: Input and output channels.
        hidden_dims: Channels in between.
        drop: Dropout rate.

    Raises:
        ValueError: A width that is not positive, a rate outside [0, 1).
        TypeError: A width that is no integer, a rate that is no number.
    """

    def __init__(self, embed_dims: int, hidden_dims: int, *, drop: float = 0.0) -> None:
        super().__init__()
        check_int('embed_dims', embed_dims)
        check_int('hidden_dims', hidden_dims)
        self.fc1 = linear(embed_dims, hidden_dims)
        self.act = nn.GELU()
        self.fc2 = linear(hidden_dims, embed_dims)
        self.drop = nn.Dropout(check_rate('drop', drop))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., C) to (..., C)."""
        return self.drop(self.fc2(self.drop(self.act(self.fc1(x)))))
