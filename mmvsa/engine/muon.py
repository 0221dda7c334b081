"""Muon: updates of matrices and convolutions made orthogonal, AdamW for all else."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from mmvsa.registry import OPTIMIZERS

# Of five Newton-Schulz steps that make singular values of (0, 1] about one; numbers of
# KellerJordan/modded-nanogpt, train_gpt_medium.py.
_COEFFICIENTS = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)
_MIN_NORM = 1e-7
_MIN_SIDE = 8  # tables of position have a column per head


@OPTIMIZERS.register_module()
class Muon(torch.optim.AdamW):
    """Muon (https://kellerjordan.github.io/posts/muon/) in the parameters' own precision.

    The update of a weight is its Nesterov momentum with all singular values made about one, of
    the size of AdamW's updates (root mean square 0.2 of the learning rate, as in
    https://arxiv.org/abs/2502.16982), so that learning rate and weight decay are like AdamW's.
    Weights of convolutions are matrices (out, in * kernel). Biases, norms, depthwise
    convolutions, and matrices with a side below 8 are AdamW's.

    PyTorch's and timm's compute the singular values in bfloat16, which CPUs without instructions
    for it do slower (docs/performance.md), and PyTorch's takes no convolutions.

    Args:
        params: parameters or groups of them.
        lr: learning rate of both.
        momentum: Muon's.
        kwargs: AdamW's own, such as ``betas``, ``weight_decay`` and ``fused``.

    Raises:
        ValueError: a momentum outside [0, 1).
    """

    def __init__(
        self, params: Iterable, lr: float = 1e-3, momentum: float = 0.95, **kwargs: Any
    ) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f'momentum must be at least 0 and below 1, got {momentum}')
        self._momentum = momentum
        super().__init__(params, lr=lr, **kwargs)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add the parameters as up to two groups, Muon's and AdamW's."""
        super().add_param_group(param_group)
        group = self.param_groups.pop()
        for orthogonal in (True, False):
            chosen = [i for i, p in enumerate(group['params']) if _is_matrix(p) is orthogonal]
            if not chosen:
                continue
            part = {**group, 'params': [group['params'][i] for i in chosen]}
            if 'param_names' in group:
                part['param_names'] = [group['param_names'][i] for i in chosen]
            part.update(orthogonal=orthogonal, momentum=self._momentum)
            self.param_groups.append(part)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:  # type: ignore[override]
        """Update all parameters that have a gradient; returns the closure's loss."""
        loss = None
        if closure is not None:
            # Before AdamW's step, which sees a part of the groups: closures set gradients to zero.
            with torch.enable_grad():
                loss = closure()
        groups = self.param_groups
        try:
            self.param_groups = [group for group in groups if not group['orthogonal']]
            super().step()
        finally:
            self.param_groups = groups
        for group in groups:
            if group['orthogonal']:
                self._orthogonal_step(group)
        return loss

    def _orthogonal_step(self, group: dict[str, Any]) -> None:
        # Of one shape at once: small matrices cost more calls than arithmetic.
        by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for parameter in group['params']:
            if parameter.grad is not None:
                by_shape[parameter.flatten(1).shape].append(parameter)
        for shape, parameters in by_shape.items():
            momenta = torch.stack([self._momentum_of(p, group) for p in parameters])
            updates = orthogonalize(momenta)
            scale = 0.2 * max(shape) ** 0.5
            for parameter, update in zip(parameters, updates, strict=True):
                parameter.mul_(1 - group['lr'] * group['weight_decay'])
                parameter.add_(update.view_as(parameter), alpha=-group['lr'] * scale)

    def _momentum_of(self, parameter: Tensor, group: dict[str, Any]) -> Tensor:
        """Nesterov momentum of a parameter as a matrix (out, in * kernel), its state moved on."""
        gradient = parameter.grad
        assert gradient is not None
        state = self.state[parameter]
        if not state:
            # AdamW's loading wants the step of every state.
            state.update(step=torch.zeros(()), exp_avg=torch.zeros_like(parameter))
        state['step'] += 1
        average = state['exp_avg'].lerp_(gradient, 1 - group['momentum'])
        return torch.lerp(gradient, average, group['momentum']).flatten(1)


def orthogonalize(matrices: Tensor) -> Tensor:
    """Matrices (N, rows, columns) with their singular values moved to about one.

    By Newton-Schulz iterations, in the precision given: values from 0.7 to 1.2 for those that
    are at least a thousandth of the largest.
    """
    wide = matrices.size(1) <= matrices.size(2)
    x = matrices if wide else matrices.mT
    # The squares of smaller entries may vanish, and a norm of 0 would make them infinite.
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp_min(_MIN_NORM)
    for a, b, c in _COEFFICIENTS:
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if wide else x.mT


def _is_matrix(parameter: Tensor) -> bool:
    if parameter.ndim < 2 or parameter.shape[1] == 1:
        return False
    return min(parameter.flatten(1).shape) >= _MIN_SIDE
