"""The benchmarks measure what they say: the same calls, every operation, reports that fit."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import tinynn as tn
from benchmarks import epoch, import_time, multiply, ops, train_step
from benchmarks.arguments import ARGUMENTS, arguments_of, in_torch
from benchmarks.array_calls import array_calls
from benchmarks.harness import WIDTH
from tests.data.folders import write_folder
from tinynn.autograd import door
from tinynn.autograd.operation import Operation
from tinynn.backend.devices import Device, transfer
from tinynn.ops.registry import OPS


def host(array):
    return np.asarray(transfer(array, Device("cpu")))


@pytest.fixture
def threads():
    """Puts back the number of threads that a benchmark sets."""
    before = tn.get_num_threads()
    yield
    tn.set_num_threads(before)


def test_every_operation_has_arguments():
    assert ARGUMENTS.keys() == OPS.keys()


@pytest.mark.parametrize("name", OPS)
def test_array_calls_do_the_work_of_an_operation(name, device):
    call, leaves = ops.with_tensors(
        arguments_of(name, 32), lambda array: tn.tensor(array, device=device)
    )
    forward = ops.forward_of(OPS[name], call)
    results = []

    def watched_forward():
        results.append(forward())
        return results[0]

    gradient = None
    if forward().requires_grad:
        gradient = tn.ones_like(forward()) * 0.75
    calls = array_calls(watched_forward, None if gradient is None else gradient.data)

    made = [host(part) for call in calls.forward for part in parts(call())]
    assert any(np.array_equal(array, host(results[0].data)) for array in made)
    if gradient is None:
        assert calls.backward == []
        return
    results[0].backward(gradient)
    expected = {leaf.node: leaf.grad for leaf in leaves if leaf.grad is not None}
    assert expected.keys() == calls.gradients.keys()
    for node, grad in expected.items():
        np.testing.assert_array_equal(host(calls.gradients[node]), host(grad.data))
    for call in calls.backward:
        assert call() is not None


def parts(result):
    return result if isinstance(result, tuple) else (result,)


def test_array_calls_are_those_of_the_formula():
    x, y = (tn.tensor([1.0, 2.0, 3.0], requires_grad=True) for _ in range(2))
    calls = array_calls(lambda: (x * y + x).sum(), np.float32(1))
    assert [call().tolist() for call in calls.forward] == [[1, 4, 9], [2, 6, 12], 20]
    # Of the sum, both of the addition, both of the product, and x's two gradients added.
    assert len(calls.backward) == 6
    assert [calls.gradients[leaf.node].tolist() for leaf in (x, y)] == [[2, 3, 4], [1, 2, 3]]


def test_watching_leaves_no_trace():
    def fails():
        raise ZeroDivisionError

    before = Operation.run, door.float32, door.float64
    with pytest.raises(ZeroDivisionError):
        array_calls(fails)
    assert (Operation.run, door.float32, door.float64) == before


@pytest.mark.parametrize("name", OPS)
def test_torch_does_the_same(name):
    torch = pytest.importorskip("torch")
    mine = ops.forward_of(OPS[name], arguments_of(name, 32).convert(tn.tensor))()
    its = ops.forward_of(in_torch(torch, name), arguments_of(name, 32).convert(torch.from_numpy))()
    assert mine.shape == tuple(its.shape)
    if name != "dropout":
        np.testing.assert_allclose(mine.data, its.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("length", multiply.LENGTHS)
def test_programs_of_the_multiply_agree(length):
    x_gradient, w_gradient = multiply.in_numpy(length)()
    found = multiply.in_tinynn(length)()
    np.testing.assert_array_equal(found[0].data, x_gradient)
    np.testing.assert_array_equal(found[1].data, w_gradient)
    x, w, gradient = (array.astype(np.float64) for array in multiply.operands())
    np.testing.assert_allclose(x_gradient, gradient * w**length, rtol=1e-4)
    np.testing.assert_allclose(w_gradient, gradient * x * length * w ** (length - 1), rtol=1e-4)


def figures_of(main, arguments, tmp_path, capsys):
    """Runs a benchmark; gives what it printed, which must fit, and its figures."""
    path = tmp_path / "figures.json"
    main([*arguments, "--quick", "--json", str(path)])
    output = capsys.readouterr().out
    assert max(map(len, output.splitlines())) <= WIDTH
    return output, json.loads(path.read_text())["figures"]


def test_ops(tmp_path, capsys, threads):
    names = ["mul", "argmax", "binary_cross_entropy_with_logits"]
    output, figures = figures_of(ops.main, [*names, "--sizes", "32", "64"], tmp_path, capsys)
    assert "32-element multiply, forward and backward: overhead over the same NumPy" in output
    assert "argmax *" in output
    assert [figure["length"] for figure in figures["multiply"]] == [1, 100]
    found = [(figure["name"], figure["size"]) for figure in figures["operations"]]
    assert found == [(name, size) for size in (32, 64) for name in names]
    assert all(figure["tinynn"] > 0 < figure["arrays"] for figure in figures["operations"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["mull"], "no operation is called mull; there are mul"),
        (["--sizes", "1"], "expected at least 4"),
        (["--device", "gpu"], "'gpu' is unknown"),
    ],
)
def test_ops_refuses(arguments, says, capsys):
    with pytest.raises(SystemExit):
        ops.main(arguments)
    assert says in capsys.readouterr().err


def test_train_step(tmp_path, capsys):
    output, figures = figures_of(train_step.main, ["--threads", "1"], tmp_path, capsys)
    assert re.search(r"^1 thread\nbatch .*bare products", output, re.MULTILINE)
    assert [(figure["threads"], figure["batch"]) for figure in figures] == [(1, 32)]


def test_import_time(tmp_path, capsys):
    output, figures = figures_of(import_time.main, [], tmp_path, capsys)
    assert "ratio (goal: 1.50)" in output
    assert figures["tinynn"] > 0 < figures["numpy"]


def test_epoch(tmp_path, capsys):
    (tmp_path / "images").mkdir()
    write_folder(tmp_path / "images", train=120, test=20)
    arguments = ["--data", str(tmp_path / "images")]
    output, figures = figures_of(epoch.main, arguments, tmp_path, capsys)
    assert re.search(r"^tinynn .* MB$", output, re.MULTILINE)
    (training,) = figures["trainings"]
    assert 0 < training["tinynn"]["epoch"] < training["tinynn"]["whole_process"]
    assert training["tinynn"]["peak_bytes"] > 10_000_000
