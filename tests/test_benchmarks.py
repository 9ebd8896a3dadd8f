"""The benchmarks measure what they say: the same calls, every operation, reports that fit."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import tinynn as tn
from benchmarks import (
    attention,
    attention_calls,
    checkpointing,
    epoch,
    generation,
    import_time,
    memory,
    models,
    multiply,
    ops,
    replay,
    scaling,
    steps_in_tinynn,
    train_step,
    workloads,
)
from benchmarks.arguments import ARGUMENTS, arguments_of, in_torch
from benchmarks.array_calls import array_calls
from benchmarks.harness import WIDTH
from benchmarks.products import products
from benchmarks.workers import Candidate, Pace, time_in_turn
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


STEPS = {
    "mlp": ("mlp((784, 16, 10))", workloads.mlp_batches(8)),
    "cnn": ("cnn()", [(images[:4], labels[:4]) for images, labels in workloads.cnn_batches()]),
    "gpt": ("gpt()", [(tokens[:2], following[:2]) for tokens, following in workloads.texts(2)]),
}


def losses(step, batches):
    return [step(*batch).item() for batch in batches]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("network", STEPS)
def test_steps_in_torch_are_the_same(network, compiled, threads):
    torch = pytest.importorskip("torch")
    from benchmarks import steps_in_torch

    expression, batches = STEPS[network]
    mine = eval(expression, vars(steps_in_tinynn))
    its = eval(expression, vars(steps_in_torch))
    copy_weights(mine.model, its.model)
    step = steps_in_tinynn.step_of(mine)
    step = tn.compile(step) if compiled else step
    expected = losses(
        steps_in_torch.step_of(its), [map(torch.from_numpy, batch) for batch in batches]
    )
    found = losses(step, [map(tn.tensor, batch) for batch in batches])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_gradients_of_the_gpt_are_those_in_torch():
    torch = pytest.importorskip("torch")
    from benchmarks import steps_in_torch

    mine, its = steps_in_tinynn.gpt(), steps_in_torch.gpt()
    copy_weights(mine.model, its.model)
    (batch, *_) = STEPS["gpt"][1]
    mine.loss_of(mine.model, *map(tn.tensor, batch)).backward()
    its.loss_of(its.model, *map(torch.from_numpy, batch)).backward()
    gradients = dict(its.model.named_parameters())
    for name, parameter in mine.model.named_parameters():
        expected = gradients[name].grad.numpy()
        scale = np.abs(expected).max()
        np.testing.assert_allclose(parameter.grad.data, expected, rtol=1e-4, atol=1e-5 * scale)


def copy_weights(mine, its):
    """Gives PyTorch's network the weights of tinynn's, which has them in the same order."""
    import torch

    its_state, arrays = its.state_dict(), mine.state_dict().values()
    assert len(its_state) == len(arrays)
    state = zip(its_state, (torch.tensor(array.data) for array in arrays), strict=True)
    its.load_state_dict(dict(state))


def test_step_in_jax_is_the_same():
    jax = pytest.importorskip("jax")
    from benchmarks import steps_in_jax

    mine = steps_in_tinynn.mlp((784, 16, 10))
    arrays = [np.array(parameter.data) for parameter in mine.model.parameters()]
    parameters = list(zip((weight.T for weight in arrays[::2]), arrays[1::2], strict=True))
    assert jax.tree.map(np.shape, parameters) == jax.tree.map(
        np.shape, steps_in_jax.mlp((784, 16, 10))
    )

    def step(images, labels):
        nonlocal parameters
        parameters, loss = steps_in_jax.update(parameters, images, labels.astype(np.int32))
        return loss

    batches = STEPS["mlp"][1]
    found = losses(steps_in_tinynn.step_of(mine), [map(tn.tensor, batch) for batch in batches])
    np.testing.assert_allclose(found, losses(step, batches), rtol=1e-5)


def test_products_are_those_of_a_step(monkeypatch):
    shapes = []
    monkeypatch.setattr(np, "matmul", lambda x, y, out: shapes.append((x.shape, y.shape)))
    products((7, 5, 3), 2)()
    assert shapes == [
        ((2, 7), (7, 5)),
        ((5, 2), (2, 7)),
        ((2, 5), (5, 3)),
        ((3, 2), (2, 5)),
        ((2, 3), (3, 5)),
    ]


def test_workers_take_the_next_batch_each_time():
    step = workloads.fed(lambda x, y: (x, y), [(1, 2), (3, 4)])
    assert [step(), step(), step()] == [(1, 2), (3, 4), (1, 2)]


def test_a_peer_that_does_not_work_is_left_out(capfd):
    candidates = {
        "works": Candidate("math", "lambda: sqrt(2.0)"),
        "fails": Candidate("math", "sqrt(-1.0)", peer="torch"),
    }
    rounds = time_in_turn(candidates, threads=1, pace=Pace(rounds=2, seconds=0.001))
    assert {name: len(found) for name, found in rounds.items()} == {"works": 2}
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("fails does not work here, so it is left out (ValueError: ")


def test_what_is_no_peer_must_work():
    candidates = {"fails": Candidate("math", "sqrt(-1.0)")}
    with pytest.raises(SystemExit, match=r"(?s)Traceback.*ValueError: "):
        time_in_turn(candidates, threads=1, pace=Pace(rounds=1, seconds=0.001))


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
    assert re.search(r"^1 thread\nbatch +tinynn compiled .*products$", output, re.MULTILINE)
    assert re.search(r"compiled / products\n32 .* \(<= 1.40\)$", output, re.MULTILINE)
    assert [(figure["threads"], figure["batch"]) for figure in figures] == [(1, 32)]


def test_train_step_with_peers_fits(capsys):
    names = list(train_step.candidates(32, 1))
    figure = {
        "threads": 1,
        "batch": 512,
        "seconds": dict.fromkeys(names, 0.0123456),
        "ratios": dict.fromkeys(names, 10.0),
        "compiled / products": 10.0,
    }
    train_step.report([figure])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= WIDTH


def test_attention(tmp_path, capsys):
    picture = tmp_path / "growth.png"
    arguments = ["--threads", "1", "--picture", str(picture)]
    output, figures = figures_of(attention.main, arguments, tmp_path, capsys)
    assert re.search(r"^2 x 64, 4:2 +1 .*%", output, re.MULTILINE)
    assert re.search(r"^time grows as +length\^", output, re.MULTILINE)
    assert [its["what"] for its in figures["prefill"]] == ["forward", "with gradients"]
    assert figures["decode"][0]["bytes"] == 2 * 2 * 64 * 2 * 32 * 4
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_attention_with_peers_fits(capsys):
    setting = str(attention.DECODES["cpu"][0])
    figure = {
        "setting": setting,
        "threads": 2,
        "bytes": 10**9,
        "seconds": {"float32": 0.0123456, attention.PEER: 0.1},
        "of read": 0.8,
        "faster than the first": {"float16": 1.0, "int8": 2.0},
        "PyTorch / tinynn": 2.5,
    }
    attention.report_decode([figure], "cpu")
    assert max(map(len, capsys.readouterr().out.splitlines())) <= WIDTH


@pytest.mark.network
def test_generation(tmp_path, capsys):
    given = ["--threads", "1", "--cache-dtype", "int8"]
    output, figures = figures_of(generation.main, given, tmp_path, capsys)
    assert re.search(r"^a prompt of 512 +stored +int8 +1 +[0-9]+", output, re.MULTILINE)
    assert [its["task"].split()[0] for its in figures["figures"]] == ["a", "1", "16"]


def test_every_byte_is_read(threads):
    for number in (1, 2):
        tn.set_num_threads(number)
        assert attention_calls.read(4 * 10_007, "cpu")() == 10_007


def test_models(tmp_path, capsys):
    output, figures = figures_of(models.main, ["--networks", "cnn"], tmp_path, capsys)
    assert re.search(r"eager / compiled\nCNN, 64 images .* ms ", output)
    (figure,) = figures
    assert figure["seconds"].keys() == {models.MINE, models.EAGER}
    assert figure["ratios"][models.EAGER] > 0


def test_memory(tmp_path, capsys):
    output, figures = figures_of(memory.main, [], tmp_path, capsys)
    assert re.search(r"^MLP, 64 images +\d+ MB +\d+ MB ", output, re.MULTILINE)
    (step,) = figures["steps"]
    loaded = figures["loaded"][memory.COMPILED]
    assert 10e6 < figures["imports"]["tinynn"] < loaded
    found = step[memory.COMPILED]
    assert found["process"] - loaded == found["added"]


def test_checkpointing(tmp_path, capsys):
    output, (figure,) = figures_of(checkpointing.main, [], tmp_path, capsys)
    assert re.search(r"^4 layers, 12 texts of 64 +\d+ MB +\d+ MB ", output, re.MULTILINE)
    assert figure["peaks"][checkpointing.AGAIN] < figure["peaks"][checkpointing.KEPT]
    assert figure["ratio"] > 0


def test_scaling(tmp_path, capsys):
    output, figures = figures_of(scaling.main, ["--axes", "depth"], tmp_path, capsys)
    assert "by depth (width 256, batch 64)" in output
    assert [(figure["depth"], figure["width"]) for figure in figures] == [(1, 256), (2, 256)]
    assert all(figure["seconds"][scaling.PRODUCTS] > 0 for figure in figures)


def test_replay(tmp_path, capsys):
    output, figures = figures_of(replay.main, [], tmp_path, capsys)
    assert re.search(r"^add .* us$", output, re.MULTILINE)
    assert {name: its["calls"] for name, its in figures.items()} == {
        "add": replay.LENGTH,
        "linear_activation": replay.LENGTH,
    }


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


def test_epoch_in_sklearn(tmp_path):
    pytest.importorskip("sklearn")
    write_folder(tmp_path, train=120, test=20)
    training = epoch.train_in_sklearn(1, 2, str(tmp_path))
    assert 0 < training.epoch_seconds < training.seconds
