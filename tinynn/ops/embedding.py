"""Embedding: rows of a table, by number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynn.backend import recording
from tinynn.ops.dims import check_tensor
from tinynn.ops.registry import apply, declare, public

if TYPE_CHECKING:
    from tinynn.autograd import Tensor


def _weight_gradient(
    F: Any, g: Any, ids: Any, shape: tuple[int, int], *, padding_idx: int | None
) -> Any:
    if padding_idx is not None:
        g = F.where(F.reshape(ids == padding_idx, shape=(*ids.shape, 1)), 0.0, g)
    return F.index_sum(g, ids, dim=0, size=shape[0])


EMBEDDING = declare(
    "embedding",
    lambda xp, ids, weight, *, padding_idx: weight.take(ids, axis=0),
    saves=("ids", "weight.shape"),
    vjps=(None, _weight_gradient),
)


@public
def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """The rows of `weight` that the numbers in `input` choose.

    Arguments:
        input: integers 0 to num_embeddings - 1, any shape.
        weight: (num_embeddings, embedding_dim).
        padding_idx: a row that gets no gradient; negative ones count from the end.

    Returns the input's shape with embedding_dim behind it.

    Raises IndexError for a number out of range, RuntimeError for an input that is not of integers
    or a weight that is not a table, ValueError for a padding_idx out of range.

    >>> import tinynn as tn
    >>> table = tn.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    >>> tn.nn.functional.embedding(tn.tensor([2, 0]), table)
    tensor([[3., 3.],
            [1., 1.]])
    """
    check_tensor("embedding", input)
    check_tensor("embedding", weight, "weight")
    ids = input.data
    if ids.dtype.kind not in "iu":
        raise RuntimeError(f"embedding: input must be integers, got {ids.dtype}")
    if weight.ndim != 2:
        raise RuntimeError(
            f"embedding: weight must be a table (num_embeddings, embedding_dim), its shape is "
            f"{weight.shape}"
        )
    rows = weight.shape[0]
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise ValueError(
                f"embedding: padding_idx {padding_idx} is out of range for {rows} embeddings"
            )
        padding_idx %= rows
    recording.checked(_check_range, ids, rows)
    return apply(EMBEDDING, (input, weight), {"padding_idx": padding_idx})


def _check_range(ids: Any, rows: int) -> None:
    """IndexError for the first number that is no row."""
    if ids.size and (int(ids.min()) < 0 or int(ids.max()) >= rows):
        bad = ((ids < 0) | (ids >= rows)).reshape(-1)
        place = int(bad.argmax())
        raise IndexError(
            f"embedding: input has {int(ids.reshape(-1)[place])} at element {place}, but weight "
            f"has {rows} rows (0 to {rows - 1})"
        )
