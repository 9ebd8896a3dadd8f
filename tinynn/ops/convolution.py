"""The 2-d convolution.

It is linear in the image and in the weight, and so is each of its gradients in what it is made of.
So three operations, each the derivative of the others, have derivatives of every order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynn.backend.devices import backend_of
from tinynn.backend.dtypes import is_floating
from tinynn.ops.dims import check_tensor
from tinynn.ops.linear_algebra import check_same_dtype
from tinynn.ops.registry import apply, declare, public
from tinynn.ops.shape import squeeze, unsqueeze
from tinynn.ops.window import Pair, pair_of, windows_along

if TYPE_CHECKING:
    from tinynn.autograd import Tensor

Padding = tuple[int, int, int, int]  # above, below, left, right


def _convolve(xp: Any, x: Any, weight: Any, bias: Any, **options: Any) -> Any:
    return backend_of(x).kernels.conv2d(x, weight, bias, **options)


def _input_gradient(xp: Any, g: Any, weight: Any, *, size: Pair, **options: Any) -> Any:
    return backend_of(g).kernels.conv2d_input_gradient(g, weight, size=size, **options)


def _weight_gradient(xp: Any, g: Any, x: Any, *, window: Pair, **options: Any) -> Any:
    return backend_of(g).kernels.conv2d_weight_gradient(g, x, window=window, **options)


CONV2D = declare(
    "conv2d",
    _convolve,
    saves=("x", "weight"),
    vjps=(
        lambda F, g, x, w, **options: F.conv2d_input_gradient(g, w, size=x.shape[2:], **options),
        lambda F, g, x, w, **options: F.conv2d_weight_gradient(g, x, window=w.shape[2:], **options),
        lambda F, g, x, w, **options: F.sum(g, dim=(0, 2, 3), keepdim=False),
    ),
    quiet=True,
)
# In these two, v stands for the gradient of the gradient.
CONV2D_INPUT_GRADIENT = declare(
    "conv2d_input_gradient",
    _input_gradient,
    saves=("g", "weight"),
    vjps=(
        lambda F, v, g, w, *, size, **options: F.conv2d(v, w, None, **options),
        lambda F, v, g, w, *, size, **options: F.conv2d_weight_gradient(
            g, v, window=w.shape[2:], **options
        ),
    ),
    quiet=True,
)
CONV2D_WEIGHT_GRADIENT = declare(
    "conv2d_weight_gradient",
    _weight_gradient,
    saves=("g", "x"),
    vjps=(
        lambda F, v, g, x, *, window, **options: F.conv2d(x, v, None, **options),
        lambda F, v, g, x, *, window, **options: F.conv2d_input_gradient(
            g, v, size=x.shape[2:], **options
        ),
    ),
    quiet=True,
)


@public
def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = 1,
    padding: int | Pair | str = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """The product of every filter with every window of the image (a cross-correlation).

    Arguments:
        input: floats, (N, C, H, W) or (C, H, W).
        weight: O filters, (O, C / groups, KH, KW).
        bias: (O,) or None.
        stride: the step from window to window, one number or (vertical, horizontal).
        padding: rows and columns of zeros on either side; "valid" is none, "same" as many as keep
            H and W (where that is odd, the greater part is below and on the right).
        dilation: the step between the elements of a window.
        groups: the channels and the filters are divided into so many parts, and each part of the
            filters sees one part of the channels.

    All tensors have one dtype. Products of 16-bit floats are computed in float32.

    Returns (N, O, OH, OW) or (O, OH, OW), with
    OH = floor((H + 2 padding - dilation (KH - 1) - 1) / stride) + 1, and OW in the same way.

    Raises RuntimeError for shapes that do not fit and for several dtypes, ValueError or TypeError
    for other options that have no meaning.

    >>> import tinynn as tn
    >>> image = tn.arange(9.0).reshape(1, 3, 3)
    >>> tn.nn.functional.conv2d(image, tn.ones(1, 1, 2, 2))
    tensor([[[ 8., 12.],
             [20., 24.]]])
    """
    _check(input, weight, bias, groups)
    window = (weight.shape[2], weight.shape[3])
    steps = pair_of("conv2d", "stride", stride, least=1)
    dilations = pair_of("conv2d", "dilation", dilation, least=1)
    borders = _borders(padding, steps, dilations, window)
    for dim in (0, 1):
        size = input.shape[dim - 2] + borders[2 * dim] + borders[2 * dim + 1]
        if windows_along(size, window[dim], steps[dim], dilations[dim]) < 1:
            raise RuntimeError(
                f"conv2d: the windows of weight, {window} with dilation {dilations}, are larger "
                f"than the input, {input.shape[-2:]} with padding {padding}"
            )
    options = {"stride": steps, "padding": borders, "dilation": dilations, "groups": groups}
    if input.ndim == 3:
        return squeeze(apply(CONV2D, (unsqueeze(input, 0), weight, bias), options), 0)
    return apply(CONV2D, (input, weight, bias), options)


def _borders(padding: Any, stride: Pair, dilation: Pair, window: Pair) -> Padding:
    """The zeros above, below, left and right of the image."""
    if not isinstance(padding, str):
        rows, columns = pair_of("conv2d", "padding", padding, least=0)
        return rows, rows, columns, columns
    if padding not in ("same", "valid"):
        raise ValueError(f"conv2d: padding must be numbers, 'same' or 'valid', got {padding!r}")
    if padding == "valid":
        return 0, 0, 0, 0
    if stride != (1, 1):
        raise RuntimeError(f"conv2d: padding 'same' needs stride 1, got {stride}")
    rows, columns = (step * (size - 1) for step, size in zip(dilation, window, strict=True))
    return rows // 2, rows - rows // 2, columns // 2, columns - columns // 2


def _check(input: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> None:
    """Refuses tensors that do not fit one another."""
    check_tensor("conv2d", input)
    check_tensor("conv2d", weight, "weight")
    if input.ndim not in (3, 4):
        raise RuntimeError(
            f"conv2d: input must have the dimensions (N, C, H, W) or (C, H, W), its shape is "
            f"{input.shape}"
        )
    if weight.ndim != 4 or 0 in weight.shape[2:]:
        raise RuntimeError(
            "conv2d: weight must have the dimensions (out_channels, in_channels / groups, rows, "
            f"columns), its shape is {weight.shape}"
        )
    if not isinstance(groups, int) or groups < 1 or weight.shape[0] % groups:
        raise RuntimeError(
            f"conv2d: groups must divide the {weight.shape[0]} filters of weight, got {groups!r}"
        )
    if input.shape[-3] != weight.shape[1] * groups:
        raise RuntimeError(
            f"conv2d: input of shape {input.shape} and weight of shape {weight.shape} do not fit: "
            f"with groups={groups}, input must have {weight.shape[1] * groups} channels"
        )
    if bias is not None:
        check_tensor("conv2d", bias, "bias")
        if bias.shape != weight.shape[:1]:
            raise RuntimeError(
                f"conv2d: bias must have shape {weight.shape[:1]}, the number of filters, its "
                f"shape is {bias.shape}"
            )
    if not is_floating(input.dtype):
        raise RuntimeError(f"conv2d: input must hold floats, got {input.dtype}")
    check_same_dtype("conv2d", input=input, weight=weight, bias=bias)
