"""einsum: sums of products of tensors, written as an equation.

An equation is worked off from left to right, two tensors at a time, each step by `matmul` or, where
nothing is summed, `mul`. So a gradient needs no rule of its own.
"""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

from tinynn.autograd.door import promote_inputs
from tinynn.autograd.operation import Operation
from tinynn.ops.arithmetic import mul
from tinynn.ops.dims import check_tensor
from tinynn.ops.indexing import getitem
from tinynn.ops.linear_algebra import matmul
from tinynn.ops.reduction import sum
from tinynn.ops.registry import public
from tinynn.ops.shape import permute, reshape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinynn.autograd import Tensor

# A dimension's name: a letter, or for a dimension of an ellipsis its number counted from the end.
Label: TypeAlias = "str | int"
Labels: TypeAlias = tuple[Label, ...]

_EINSUM = Operation("einsum", (), promotes="common")


@public
def einsum(equation: str, *operands: Tensor) -> Tensor:
    """The sum of products that an equation of indices describes.

    Every operand has a letter for each of its dimensions; letters that the result lacks are summed
    over. Without "->" the result has the letters that come once, in alphabetical order. "..."
    stands for any dimensions; a letter that comes twice in an operand takes the diagonal. Sizes of
    1 broadcast, and operands of several dtypes are promoted.

    Raises RuntimeError for an equation that is malformed or does not fit the operands.

    >>> import tinynn as tn
    >>> queries, keys = tn.ones(2, 5, 8), tn.ones(2, 7, 8)
    >>> tn.einsum("bqd,bkd->bqk", queries, keys).shape
    (2, 5, 7)
    >>> tn.einsum("ii->i", tn.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    if not isinstance(equation, str):
        raise TypeError(f"einsum: equation must be a str, got {type(equation).__name__}")
    for number, operand in enumerate(operands):
        check_tensor("einsum", operand, f"operand {number}")
    terms, wanted = _parse(equation, [operand.shape for operand in operands])
    tensors = list(promote_inputs(_EINSUM, operands))
    for number, labels in enumerate(terms):
        tensors[number], terms[number] = _take_diagonals(tensors[number], labels, number)
    sizes = _sizes(tensors, terms)
    for number, labels in enumerate(terms):
        tensors[number], terms[number] = _drop_broadcast(tensors[number], labels, sizes)
    result, labels = tensors[0], terms[0]
    for number in range(1, len(terms)):
        needed = set(chain(wanted, *terms[number + 1 :]))
        result, labels = _contract(result, labels, tensors[number], terms[number], needed)
    result, labels = _sum_lone(result, labels, set(wanted))
    return permute(result, tuple(labels.index(label) for label in wanted))


def _parse(equation: str, shapes: Sequence[tuple[int, ...]]) -> tuple[list[Labels], Labels]:
    """The labels of each operand's dimensions, and those of the result."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    texts = left.split(",")
    if len(texts) != len(shapes):
        raise RuntimeError(
            f"einsum: {equation!r} describes {len(texts)} operands, got {len(shapes)}"
        )
    terms = [
        _labels(equation, text, len(shape), f"operand {number} of shape {shape}")
        for number, (text, shape) in enumerate(zip(texts, shapes, strict=True))
    ]
    present = list(chain(*terms))
    dots = tuple(sorted({label for label in present if isinstance(label, int)}))
    letters = sorted({label for label in present if isinstance(label, str)})
    if not arrow:
        return terms, (*dots, *(label for label in letters if present.count(label) == 1))
    count = len(right.replace("...", "")) + (len(dots) if "..." in right else 0)
    wanted = _labels(equation, right, count, "the result")
    for label in wanted:
        if wanted.count(label) > 1:
            raise RuntimeError(f"einsum: {equation!r}: the result has {label!r} twice")
        if label not in present:
            raise RuntimeError(f"einsum: {equation!r}: no operand has the result's {label!r}")
    return terms, wanted


def _labels(equation: str, text: str, ndim: int, what: str) -> Labels:
    """A label for each dimension of one term."""
    before, dots, after = text.partition("...")
    letters = before + after
    if any(not (letter.isascii() and letter.isalpha()) for letter in letters):
        raise RuntimeError(
            f"einsum: {equation!r}: {text!r} is not made of letters and at most one '...'"
        )
    hidden = ndim - len(letters)
    if hidden < 0 or (hidden and not dots):
        raise RuntimeError(
            f"einsum: {equation!r}: {text!r} names {len(letters)} dimensions, {what} has {ndim}"
        )
    return (*before, *range(-hidden, 0), *after)


def _take_diagonals(tensor: Tensor, labels: Labels, number: int) -> tuple[Tensor, Labels]:
    """An operand in which no label comes twice."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            rows, columns = tensor.shape[first], tensor.shape[second]
            if rows != columns:
                raise RuntimeError(
                    f"einsum: operand {number} of shape {tensor.shape} has {label!r} for sizes "
                    f"{rows} and {columns}; a diagonal needs them equal"
                )
            others = [dim for dim in range(tensor.ndim) if dim not in (first, second)]
            moved = permute(tensor, (*others, first, second))
            flat = reshape(moved, (*(tensor.shape[dim] for dim in others), rows * columns))
            tensor = getitem(flat, (..., slice(None, None, rows + 1)))
            labels = (*(labels[dim] for dim in others), label)
    return tensor, labels


def _sizes(tensors: Sequence[Tensor], terms: Sequence[Labels]) -> dict[Label, int]:
    """The size of every label, which must be the same, or 1, everywhere."""
    sizes: dict[Label, int] = {}
    for number, (tensor, labels) in enumerate(zip(tensors, terms, strict=True)):
        for label, size in zip(labels, tensor.shape, strict=True):
            known = sizes.setdefault(label, size)
            if known == 1:
                sizes[label] = size
            elif size not in (1, known):
                name = f"{label!r}" if isinstance(label, str) else "a dimension of '...'"
                raise RuntimeError(
                    f"einsum: {name} has size {size} in operand {number} and {known} before"
                )
    return sizes


def _drop_broadcast(
    tensor: Tensor, labels: Labels, sizes: dict[Label, int]
) -> tuple[Tensor, Labels]:
    """An operand without those of its dimensions of size 1 that are longer in another one."""
    kept = [dim for dim, label in enumerate(labels) if tensor.shape[dim] == sizes[label]]
    if len(kept) == len(labels):
        return tensor, labels
    return (
        reshape(tensor, tuple(tensor.shape[dim] for dim in kept)),
        tuple(labels[dim] for dim in kept),
    )


def _sum_lone(tensor: Tensor, labels: Labels, needed: set[Label]) -> tuple[Tensor, Labels]:
    """A tensor summed over the dimensions that nothing else needs."""
    lone = tuple(dim for dim, label in enumerate(labels) if label not in needed)
    if not lone:
        return tensor, labels
    return sum(tensor, lone), tuple(label for label in labels if label in needed)


def _contract(
    a: Tensor, a_labels: Labels, b: Tensor, b_labels: Labels, needed: set[Label]
) -> tuple[Tensor, Labels]:
    """The product of two tensors, summed over the labels that both have and nothing else needs."""
    a, a_labels = _sum_lone(a, a_labels, needed | set(b_labels))
    b, b_labels = _sum_lone(b, b_labels, needed | set(a_labels))
    common = [label for label in a_labels if label in b_labels]
    batch = [label for label in common if label in needed]
    summed = [label for label in common if label not in needed]
    rows = [label for label in a_labels if label not in b_labels]
    columns = [label for label in b_labels if label not in a_labels]
    sizes = dict(zip((*a_labels, *b_labels), (*a.shape, *b.shape), strict=True))

    def arranged(tensor: Tensor, labels: Labels, *groups: list[Label]) -> Tensor:
        """The tensor with one dimension for each of the batch's labels, and one for each group."""
        order = [*batch, *chain(*groups)]
        shape = [sizes[label] for label in batch]
        shape += [math.prod(sizes[label] for label in group) for group in groups]
        return reshape(permute(tensor, tuple(map(labels.index, order))), tuple(shape))

    left = arranged(a, a_labels, rows, summed)
    right = arranged(b, b_labels, summed, columns)
    # Without a sum the inner dimension has size 1, and the product is an outer one.
    result = matmul(left, right) if summed else mul(left, right)
    labels = (*batch, *rows, *columns)
    return reshape(result, tuple(sizes[label] for label in labels)), labels
