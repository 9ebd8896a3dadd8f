"""Which changes of shape share memory, and the methods that are no operations."""

import numpy as np
import pytest

import tinynn as tn

VIEWS = {
    "reshape": lambda x: x.reshape(3, 2),
    "view": lambda x: x.view(-1),
    "flatten": lambda x: x.flatten(),
    "permute": lambda x: x.permute(1, 0),
    "transpose": lambda x: x.transpose(0, 1),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "movedim": lambda x: tn.movedim(x, 0, 1),
    "expand": lambda x: x.expand(4, 2, 3),
    "squeeze": lambda x: x.squeeze(),
    "unsqueeze": lambda x: x.unsqueeze(0),
    "slice": lambda x: x[:, 1:],
    "integer": lambda x: x[1],
    "element": lambda x: x[1, 2],
    "split": lambda x: x.split(1)[1],
    "chunk": lambda x: x.chunk(2, dim=1)[0],
    "unbind": lambda x: x.unbind()[0],
    "detach": lambda x: x.detach(),
}
COPIES = {
    "array": lambda x: x[[0, 1]],
    "mask": lambda x: x[x > -1],
    "flip": lambda x: x.flip(0),
    "roll": lambda x: x.roll(1),
    "cat": lambda x: tn.cat([x]),
    "stack": lambda x: tn.stack([x]),
    "pad": lambda x: tn.nn.functional.pad(x, (0, 0)),
    "clone": lambda x: x.clone(),
    "reshape of another layout": lambda x: x.T.reshape(6),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_share_memory(name):
    x = tn.arange(6).reshape(2, 3).to(tn.float32)
    part = VIEWS[name](x)
    assert np.shares_memory(part.numpy(), x.numpy())
    before = part.numpy().copy()
    x += 1
    np.testing.assert_array_equal(part.numpy(), before + 1)


@pytest.mark.parametrize("name", COPIES)
def test_copies_do_not(name):
    x = tn.arange(6).reshape(2, 3).to(tn.float32)
    assert not np.shares_memory(COPIES[name](x).numpy(), x.numpy())


def test_an_element_that_is_written_to_is_written_to_in_the_tensor():
    x = tn.zeros(2, 3)
    x[1, 2].fill_(5)
    x[0].add_(1)
    assert x.tolist() == [[1, 1, 1], [0, 0, 5]]


def test_shapes_may_be_given_as_one_tuple_or_as_many_numbers():
    x = tn.zeros(2, 6)
    assert x.reshape(3, 4).shape == x.reshape((3, 4)).shape == x.reshape([3, -1]).shape == (3, 4)
    assert x.permute(1, 0).shape == x.permute((1, 0)).shape == (6, 2)
    assert x.expand(3, -1, 6).shape == x.expand((3, -1, 6)).shape == (3, 2, 6)
    assert x.flip(0, 1).shape == x.flip((0, 1)).shape


def test_sizes():
    x = tn.zeros(2, 3)
    assert x.size() == x.shape == (2, 3)
    assert x.size(0) == 2
    assert x.size(-1) == 3
    assert x.numel() == 6
    assert x.dim() == x.ndim == 2
    assert len(x) == 2
    with pytest.raises(IndexError, match="size: dim 2"):
        x.size(2)
    with pytest.raises(TypeError, match="0-d"):
        len(tn.tensor(1))


def test_transposed_matrices():
    x = tn.arange(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(x.T.numpy(), x.numpy().T)
    np.testing.assert_array_equal(x.mT.numpy(), x.numpy().swapaxes(1, 2))
    with pytest.raises(RuntimeError, match="mT: needs two or more dimensions"):
        getattr(tn.zeros(3), "mT")  # noqa: B009


def test_joining_promotes():
    parts = [tn.tensor([True]), tn.tensor([2]), tn.tensor([0.5])]
    assert tn.cat(parts).dtype == tn.float32
    assert tn.cat(parts).tolist() == [1, 2, 0.5]
    assert tn.stack(parts[:2]).dtype == tn.int64


def test_gradients_of_joined_tensors_have_their_own_dtypes():
    single = tn.ones(2, requires_grad=True)
    double = tn.ones(3, dtype=tn.float64, requires_grad=True)
    (tn.cat([single, double]) * tn.arange(5)).sum().backward()
    assert single.grad.dtype == tn.float32
    assert single.grad.tolist() == [0, 1]
    assert double.grad.dtype == tn.float64
    assert double.grad.tolist() == [2, 3, 4]
