"""AdamW: steps scaled by the size of recent gradients, with weight decay apart from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynn.backend.devices import backend_of
from tinynn.optim.optimizer import Optimizer, check_not_negative

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinynn.optim.optimizer import Parameters


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019, algorithm 2).

        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g^2
        p = p * (1 - lr * weight_decay) - lr * m' / (sqrt(v') + eps)

    with m' = m / (1 - beta1^t) and v' = v / (1 - beta2^t) at the t-th update of a parameter.

    Arguments:
        params: tensors, or dicts of tensors and options (see `Optimizer`).
        lr: the learning rate.
        betas: how much of m and of v is kept at each step, each in [0, 1).
        eps: keeps the division away from zero.
        weight_decay: how much of a parameter, times lr, is taken away at each step.
        amsgrad: takes the largest v so far in place of v (Reddi, Kale and Kumar, 2018).
        maximize: goes up instead of down.

    Raises ValueError for options out of range, no parameters, or a parameter given twice.

    >>> import tinynn as tn
    >>> w = tn.tensor([1.0], requires_grad=True)
    >>> optimizer = tn.optim.AdamW([w], lr=0.1, weight_decay=0.0)
    >>> (w * w).sum().backward()
    >>> optimizer.step()  # the first step is lr long, whatever the gradient
    >>> round(w.item(), 6)
    0.9
    """

    memory_names = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    counts_steps = True
    scheduled = ("lr", "betas")

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check_options(self, group: Mapping[str, Any]) -> None:
        check_not_negative("AdamW", group, "lr", "eps", "weight_decay")
        for index, beta in enumerate(group["betas"]):
            if not 0 <= beta < 1:
                raise ValueError(f"AdamW: betas[{index}] must be in [0, 1), got {beta}")

    def remembered(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        return self.memory_names if group["amsgrad"] else self.memory_names[:2]

    def update(
        self,
        group: Mapping[str, Any],
        parameters: Any,
        gradients: Any,
        memory: list[Any],
        steps: int,
    ) -> None:
        backend_of(parameters).kernels.adamw_step(
            parameters,
            gradients,
            *memory,
            lr=group["lr"],
            betas=group["betas"],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            step=steps + 1,
            maximize=group["maximize"],
        )
