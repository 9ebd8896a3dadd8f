"""Conv2d: filters that are moved over an image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tinynn.nn import functional as F
from tinynn.nn import init
from tinynn.nn.module import Module
from tinynn.nn.parameter import Parameter
from tinynn.ops.creation import empty
from tinynn.ops.window import pair_of

if TYPE_CHECKING:
    from tinynn.autograd import Tensor


class Conv2d(Module):
    """The product of every filter with every window: (N, C, H, W) -> (N, O, OH, OW).

    Without the dimension N as well; `functional.conv2d` gives OH and OW.

    Arguments:
        in_channels, out_channels: C and O.
        kernel_size: the size of a window, one number or (rows, columns).
        stride: the step from window to window.
        padding: zeros on each side of the image, or "same" or "valid".
        dilation: the step between the elements of a window.
        groups: the parts that channels and filters are divided into.
        bias: whether there is a bias.
        device, dtype: of the parameters; None takes the defaults.

    Attributes:
        weight: (O, C / groups, rows, columns), at first U(-k, k) with
            k = 1 / sqrt(C / groups * rows * columns).
        bias: (O,), at first from the same range; or None.

    Raises ValueError where groups does not divide both numbers of channels.

    >>> import tinynn as tn
    >>> layer = tn.nn.Conv2d(1, 8, kernel_size=5, padding="same")
    >>> layer(tn.zeros(64, 1, 28, 28)).shape
    (64, 8, 28, 28)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"Conv2d: groups must divide in_channels ({in_channels}) and out_channels "
                f"({out_channels}), got {groups}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = pair_of("Conv2d", "kernel_size", kernel_size, least=1)
        self.stride = pair_of("Conv2d", "stride", stride, least=1)
        self.padding = (
            padding if isinstance(padding, str) else pair_of("Conv2d", "padding", padding, least=0)
        )
        self.dilation = pair_of("Conv2d", "dilation", dilation, least=1)
        self.groups = groups
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(empty(shape, device=device, dtype=dtype))
        self.bias = Parameter(empty(out_channels, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(max(init.fans(self.weight)[0], 1))
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        options = (self.stride, self.padding, self.dilation, self.groups)
        return F.conv2d(input, self.weight, self.bias, *options)

    def extra_repr(self) -> str:
        parts = [
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}",
            f"stride={self.stride}",
        ]
        if self.padding != (0, 0):
            shown = repr(self.padding) if isinstance(self.padding, tuple) else self.padding
            parts.append(f"padding={shown}")
        if self.dilation != (1, 1):
            parts.append(f"dilation={self.dilation}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        return ", ".join(parts)
