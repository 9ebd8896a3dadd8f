"""Matrices of few bits: the weights of linear layers and embeddings.

A matrix multiplies rows of numbers, and gives its own rows as floats. `QuantizedMatrix` holds whole
numbers of 8 or 4 bits with their scales, `HalfMatrix` floats of 16 bits; both do the same things.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.backend import recording
from tinynn.backend.devices import Device, backend_of, transfer
from tinynn.backend.reference.quantized import FORMS, GROUP, ROWS
from tinynn.backend.reference.quantized_rows import check_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = Any

# Bytes of a block -> the name of what it holds
FORMATS = {512: "int8", 544: "int8-32", 320: "int4", 288: "int4-symmetric"}


class QuantizedMatrix:
    """A matrix [outputs, inputs] of whole numbers with scales.

    ================ ============ ================================================================
    format           bits each    a number is
    ================ ============ ================================================================
    "int8"           8            scale * q, a float32 scale for each row
    "int8-32"        8.5          scale * q, a float16 scale for 32 columns of a row (GGUF's Q8_0)
    "int4"           5            scale * q + offset, two float16 for 32 columns (Q4_1)
    "int4-symmetric" 4.5          scale * q, a float16 scale for 32 columns (Q4_0)
    ================ ============ ================================================================

    Made by `quantize` and `from_gguf`. How its bytes lie in memory is said in
    `tinynn/backend/reference/quantized.py`.

    Attributes:
        blocks: uint8 [tiles, groups, size].
        row_scales: float32 [tiles * 16] for "int8", else None.
        shape: (outputs, inputs).
    """

    __slots__ = ("_linear", "_rows", "blocks", "row_scales", "shape")

    def __init__(self, blocks: Array, row_scales: Array | None, shape: Sequence[int]) -> None:
        outputs, inputs = shape
        tiles, groups, size = blocks.shape
        expected = (-(-outputs // ROWS), -(-inputs // GROUP))
        if size not in FORMS or (tiles, groups) != expected or blocks.dtype != np.uint8:
            raise ValueError(
                f"QuantizedMatrix: blocks are {blocks.dtype} {list(blocks.shape)}, expected uint8 "
                f"[{expected[0]}, {expected[1]}, {' or '.join(map(str, FORMS))}] for a shape of "
                f"({outputs}, {inputs})"
            )
        found = None if row_scales is None else list(row_scales.shape)
        needed = None if FORMS[size][1] else [tiles * ROWS]
        if found != needed:
            raise ValueError(
                f"QuantizedMatrix: row_scales are {found}, expected {needed} for blocks of {size} "
                "bytes"
            )
        self.shape = (outputs, inputs)
        self._place(blocks, row_scales)

    def _place(self, blocks: Array, row_scales: Array | None) -> None:
        self.blocks = blocks
        self.row_scales = row_scales
        kernels = backend_of(blocks).kernels
        self._linear = kernels.quantized_linear
        self._rows = kernels.quantized_rows

    def to(self, device: Any) -> QuantizedMatrix:
        """Moves its numbers to a device, and returns itself."""
        device = Device(device)
        scales = None if self.row_scales is None else transfer(self.row_scales, device)
        self._place(transfer(self.blocks, device), scales)
        return self

    @property
    def format(self) -> str:
        """The name of the format."""
        return FORMATS[self.blocks.shape[2]]

    @property
    def bits(self) -> int:
        """Bits of a whole number."""
        return FORMS[self.blocks.shape[2]][0]

    @property
    def nbytes(self) -> int:
        """Bytes in memory, those that fill up tiles among them."""
        scales = 0 if self.row_scales is None else self.row_scales.nbytes
        return int(self.blocks.nbytes + scales)

    def linear(
        self,
        x: Array,
        bias: Array | None = None,
        *,
        activations: str = "int8",
        out: Array | None = None,
    ) -> Array:
        """x w^T + bias, the weight being read as it is stored.

        A row of x gives the same result, bit for bit, whatever rows come with it.

        Arguments:
            x: [..., inputs] float.
            bias: [outputs] or None.
            activations: "int8" rounds x to whole numbers, 32 columns of a row at a time, with the
                scale max |x| / 127: a number is off by at most half a scale. "float32" does not.
            out: written and returned, where it is given: [..., outputs].

        Returns [..., outputs] in the dtype of x. Where a row of x holds NaN or infinity, what it
        gives is NaN. Raises ValueError for another shape of x, of bias or of out.

        >>> import numpy as np
        >>> from tinynn.quant import quantize
        >>> w = quantize(np.eye(3, dtype=np.float32), "int8")
        >>> w.linear(np.array([[127, -3, 2]], np.float32))
        array([[127.,  -3.,   2.]], dtype=float32)
        """
        _check(x, bias, out, self.shape)
        if activations not in ("int8", "float32"):
            raise ValueError(
                f"linear: activations is {activations!r}, expected 'int8' or 'float32'"
            )
        return self._linear(
            x,
            self.blocks,
            self.row_scales,
            bias,
            outputs=self.shape[0],
            activations=activations,
            out=out,
        )

    def rows(self, ids: Array, *, out: Array | None = None) -> Array:
        """The rows of an embedding: [...] integers -> [..., inputs] float32.

        Raises IndexError for an id that is negative or not below outputs.
        """
        outputs, inputs = self.shape
        return self._rows(
            ids, self.blocks, self.row_scales, outputs=outputs, columns=inputs, out=out
        )

    def dequantize(self) -> Array:
        """All numbers, [outputs, inputs] float32."""
        xp = backend_of(self.blocks).xp
        return self.rows(xp.arange(self.shape[0]))

    def __repr__(self) -> str:
        return f"QuantizedMatrix({self.format!r}, shape={self.shape})"


class HalfMatrix:
    """A matrix [outputs, inputs] of 16-bit floats, which are computed with in float32.

    Attributes:
        weight: [outputs, inputs] float16 or bfloat16; it is not copied, so that a file that is
            mapped into memory is read from there.
        shape: (outputs, inputs).
    """

    __slots__ = ("_linear", "shape", "weight")

    def __init__(self, weight: Array) -> None:
        if weight.ndim != 2 or weight.dtype.itemsize != 2 or weight.dtype.kind not in "fV":
            raise ValueError(
                f"HalfMatrix: weight is {weight.dtype} {list(weight.shape)}, expected float16 or "
                "bfloat16 with two axes"
            )
        self.shape = tuple(weight.shape)
        self._place(weight)

    def _place(self, weight: Array) -> None:
        self.weight = weight
        self._linear = backend_of(weight).kernels.half_linear

    def to(self, device: Any) -> HalfMatrix:
        """Moves its numbers to a device, and returns itself."""
        self._place(transfer(self.weight, Device(device)))
        return self

    @property
    def format(self) -> str:
        """ "fp16" or "bf16"."""
        return "fp16" if self.weight.dtype.kind == "f" else "bf16"

    @property
    def bits(self) -> int:
        """16."""
        return 16

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return int(self.weight.nbytes)

    def linear(self, x: Array, bias: Array | None = None, *, out: Array | None = None) -> Array:
        """x w^T + bias in the dtype of x; see `QuantizedMatrix.linear`.

        Up to 16 rows of x are multiplied as they would be alone; more of them go through BLAS.
        """
        _check(x, bias, out, self.shape)
        return self._linear(x, self.weight, bias, out=out)

    def rows(self, ids: Array, *, out: Array | None = None) -> Array:
        """The rows of an embedding: [...] integers -> [..., inputs] float32.

        Raises IndexError for an id that is negative or not below outputs.
        """
        recording.checked(check_ids, "rows", ids, self.shape[0])
        found = recording.seen(self.weight).take(ids, axis=0).astype(np.float32)
        if out is None:
            return found
        out[...] = found
        return out

    def dequantize(self) -> Array:
        """All numbers, [outputs, inputs] float32."""
        return self.weight.astype(np.float32)

    def __repr__(self) -> str:
        return f"HalfMatrix({self.format!r}, shape={self.shape})"


def _check(x: Array, bias: Array | None, out: Array | None, shape: tuple[int, ...]) -> None:
    outputs, inputs = shape
    if x.shape[-1] != inputs:
        raise ValueError(f"linear: x is {list(x.shape)}, expected [..., {inputs}]")
    if bias is not None and bias.shape != (outputs,):
        raise ValueError(f"linear: bias is {list(bias.shape)}, expected [{outputs}]")
    if out is not None and out.shape != (*x.shape[:-1], outputs):
        expected = [*x.shape[:-1], outputs]
        raise ValueError(f"linear: out is {list(out.shape)}, expected {expected}")
