"""Muon: updates of matrices and convolutions made orthogonal, AdamW for all else."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
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
        parameters = [p for p in group['params'] if p.grad is not None]
        if not parameters:
            return
        updates = orthogonalize(self._momenta(parameters, group['momentum']))
        torch._foreach_mul_(updates, [0.2 * max(update.shape) ** 0.5 for update in updates])
        torch._foreach_mul_(parameters, 1 - group['lr'] * group['weight_decay'])
        updates = [u.view_as(p) for u, p in zip(updates, parameters, strict=True)]
        torch._foreach_add_(parameters, updates, alpha=-group['lr'])

    def _momenta(self, parameters: list[Tensor], momentum: float) -> list[Tensor]:
        """Nesterov momenta as matrices (out, in * kernel), their states moved on."""
        states = [self.state[parameter] for parameter in parameters]
        for parameter, state in zip(parameters, states, strict=True):
            if not state:
                # AdamW's loading wants the step of every state.
                state.update(step=torch.zeros(()), exp_avg=torch.zeros_like(parameter))
        torch._foreach_add_([state['step'] for state in states], 1)
        gradients = [p.grad for p in parameters if p.grad is not None]
        averages = [state['exp_avg'] for state in states]
        torch._foreach_lerp_(averages, gradients, 1 - momentum)
        return [m.flatten(1) for m in torch._foreach_lerp(gradients, averages, momentum)]


def orthogonalize(matrices: Sequence[Tensor]) -> list[Tensor]:
    """Matrices (rows, columns) with their singular values moved to about one.

    By Newton-Schulz iterations, in the precision given: values from 0.7 to 1.2 for those that
    are at least a thousandth of the largest.
    """
    wide = [m if m.size(0) <= m.size(1) else m.mT for m in matrices]
    # Of one side at once: small matrices cost more calls than arithmetic.
    kinds: dict[tuple[int, torch.dtype, torch.device], list[int]] = defaultdict(list)
    for i, matrix in enumerate(wide):
        kinds[matrix.size(0), matrix.dtype, matrix.device].append(i)
    found = list(wide)
    for alike in kinds.values():
        factors = _inverse_roots(torch.stack([wide[i] @ wide[i].mT for i in alike]))
        for i, factor in zip(alike, factors.unbind(), strict=True):
            found[i] = factor @ wide[i]
    return [
        f if f.shape == m.shape else f.mT.contiguous() for f, m in zip(found, matrices, strict=True)
    ]


def _inverse_roots(grams: Tensor) -> Tensor:
    """About (x x^T)^(-1/2) for each x x^T (N, side, side).

    A Newton-Schulz step is a polynomial of x x^T times x. Multiplying the polynomials, and x once
    at the end, takes a third of the arithmetic where x is a convolution's weight.
    """
    # Squares of small entries may vanish, and a norm of 0 would make them infinite.
    norms = grams.diagonal(dim1=1, dim2=2).sum(-1).sqrt().clamp_min(_MIN_NORM)[:, None, None]
    grams = grams / norms.square()
    factors = torch.eye(grams.size(-1), dtype=grams.dtype, device=grams.device) / norms
    for a, b, c in _COEFFICIENTS:
        step = torch.baddbmm(grams, grams, grams, beta=b, alpha=c)
        step.diagonal(dim1=1, dim2=2).add_(a)
        factors = step @ factors
        grams = step @ grams @ step
    return factors


def _is_matrix(parameter: Tensor) -> bool:
    if parameter.ndim < 2 or parameter.shape[1] == 1:
        return False
    return min(parameter.flatten(1).shape) >= _MIN_SIDE
