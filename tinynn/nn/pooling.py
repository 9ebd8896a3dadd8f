"""MaxPool2d: an image made smaller, the largest number of each window being kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinynn.nn import functional as F
from tinynn.nn.module import Module

if TYPE_CHECKING:
    from tinynn.autograd import Tensor

    Size = int | tuple[int, int]


class MaxPool2d(Module):
    """The largest number in every window: (N, C, H, W) -> (N, C, OH, OW).

    The arguments are those of `functional.max_pool2d`.

    >>> import tinynn as tn
    >>> tn.nn.MaxPool2d(2)(tn.zeros(64, 8, 28, 28)).shape
    (64, 8, 14, 14)
    """

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        ceil_mode: bool = False,
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        options = (self.stride, self.padding, self.dilation, self.ceil_mode)
        return F.max_pool2d(input, self.kernel_size, *options)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )
