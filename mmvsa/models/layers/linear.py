"""Linear layers with the initialisation of vision transformers."""

from torch import Tensor, nn


def linear(in_features: int, out_features: int, bias: bool = True) -> nn.Linear:
    """A linear layer with weights truncated-normal (std 0.02) and bias zero."""
    layer = nn.Linear(in_features, out_features, bias=bias)
    nn.init.trunc_normal_(layer.weight, std=0.02)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class Mlp(nn.Module):
    """Linear, GELU, linear, on the last dimension; dropout after each linear layer."""

    def __init__(self, embed_dims: int, hidden_dims: int, drop: float = 0.0) -> None:
        super().__init__()
        self.fc1 = linear(embed_dims, hidden_dims)
        self.act = nn.GELU()
        self.fc2 = linear(hidden_dims, embed_dims)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        return self.drop(self.fc2(self.drop(self.act(self.fc1(x)))))
