"""SGD: stochastic gradient descent, with momentum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynn.backend.devices import backend_of
from tinynn.optim.optimizer import Optimizer, check_not_negative

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinynn.optim.optimizer import Parameters


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum (Sutskever et al., 2013, in PyTorch's form).

        g = gradient + weight_decay * p          (minus the gradient with `maximize`)
        v = momentum * v + (1 - dampening) * g   (v = g at first)
        p = p - lr * v                           (lr * (g + momentum * v) with `nesterov`)

    Arguments:
        params: tensors, or dicts of tensors and options (see `Optimizer`).
        lr: the learning rate.
        momentum: how much of the last update goes on.
        dampening: how much of the gradient is held back from `v`.
        weight_decay: an L2 penalty's factor.
        nesterov: looks ahead along `v`; needs momentum and no dampening.
        maximize: goes up instead of down.

    Raises ValueError for negative options, no parameters, or a parameter given twice.

    >>> import tinynn as tn
    >>> w = tn.tensor([1.0], requires_grad=True)
    >>> optimizer = tn.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.tolist()
    [0.800000011920929]
    """

    memory_names = ("momentum_buffer",)
    counts_steps = False
    scheduled = ("lr", "momentum")

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check_options(self, group: Mapping[str, Any]) -> None:
        check_not_negative("SGD", group, "lr", "momentum", "weight_decay")
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("SGD: nesterov requires a momentum above zero and zero dampening")

    def remembered(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        return self.memory_names if group["momentum"] else ()

    def update(
        self,
        group: Mapping[str, Any],
        parameters: Any,
        gradients: Any,
        memory: list[Any],
        steps: int,
    ) -> None:
        backend_of(parameters).kernels.sgd_step(
            parameters,
            gradients,
            *memory,
            lr=group["lr"],
            momentum=group["momentum"],
            # v = g at first: v is zero then
            dampening=group["dampening"] if group["dampening"] and steps else 0.0,
            weight_decay=group["weight_decay"],
            nesterov=group["nesterov"],
            maximize=group["maximize"],
        )
