"""Linear layers with the initialisation of vision transformers."""

from torch import Tensor, nn

from .recompute import Repeating, recompute


def linear(in_features: int, out_features: int, bias: bool = True) -> nn.Linear:
    """A linear layer with weights truncated-normal (std 0.02) and bias zero."""
    layer = nn.Linear(in_features, out_features, bias=bias)
    nn.init.trunc_normal_(layer.weight, std=0.02)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class Mlp(Repeating):
    """Linear, GELU, linear, on the last dimension; dropout after each linear layer.

    For the backward pass the first layer's output is kept, its GELU is repeated.
    """

    def __init__(self, embed_dims: int, hidden_dims: int, drop: float = 0.0) -> None:
        super().__init__()
        self.fc1 = linear(embed_dims, hidden_dims)
        self.act = nn.GELU()
        self.fc2 = linear(hidden_dims, embed_dims)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor, norm: nn.Module | None = None) -> Tensor:
        """(..., C) -> (..., C), of ``norm(x)`` if there is a norm; that is repeated too."""
        keep = self.keep_activations
        if norm is None:
            hidden = self.fc1(x)
        else:
            hidden = recompute(lambda x: self.fc1(norm(x)), x, keep=keep)
        random = self.training and self.drop.p > 0
        return recompute(self._finish, hidden, random=random, keep=keep)

    def _finish(self, hidden: Tensor) -> Tensor:
        return self.drop(self.fc2(self.drop(self.act(hidden))))
