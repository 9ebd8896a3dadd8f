"""Parameter: a tensor that a module trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynn.autograd import Tensor

if TYPE_CHECKING:
    from tinynn.optim.flat_parameters import Place


class Parameter(Tensor):
    """A tensor that belongs to the module it is assigned to.

    Arguments:
        data: a tensor, or an array, of any shape; its memory is used, not copied.
        requires_grad: whether it is trained; needs a floating dtype.

    Raises TypeError for anything but a tensor or an array, RuntimeError where integers would be
    trained.

    >>> import tinynn as tn
    >>> layer = tn.nn.Module()
    >>> layer.scale = tn.nn.Parameter(tn.tensor([1.0, 2.0]))
    >>> [name for name, _ in layer.named_parameters()]
    ['scale']
    """

    __slots__ = ("place",)

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(data.data if isinstance(data, Tensor) else data, requires_grad)
        # Where it lies in an optimizer's flat memory, so that the next optimizer finds it there.
        self.place: Place | None = None

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
