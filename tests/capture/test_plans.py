"""What a plan consists of: nothing that is not needed; and how it is shown."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

import tinynn as tn
from tests.capture.twice import bits
from tinynn.capture.buffers import CONSTANT, EXTERNAL, INPUT, INTERNAL
from tinynn.capture.call import COPY
from tinynn.nn import functional as F


def network(optimizer_class=tn.optim.AdamW):
    model = tn.nn.Sequential(tn.nn.Linear(6, 8), tn.nn.Tanh(), tn.nn.Linear(8, 3))
    return model, optimizer_class(model.parameters(), lr=0.1)


def batch():
    return tn.randn(5, 6), tn.tensor([0, 1, 2, 0, 1])


def plan_of(function, *arguments, fuse=False, replays=1):
    step = tn.compile(function, fuse=fuse)
    for _ in range(1 + replays):
        step(*arguments)
    (plan,) = step.plans
    assert plan.replays == replays
    return plan


def names(plan):
    return [call.name for call in plan.calls]


def step_of(model, optimizer, result=lambda loss, output: loss):
    def step(x, labels):
        output = model(x)
        loss = F.cross_entropy(output, labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return result(loss, output)

    return step


def test_gradients_are_written_to_flat_memory():
    model, optimizer = network()
    plan = plan_of(step_of(model, optimizer), *batch())
    assert not [call for call in plan.calls if call.form == COPY]
    (flat,) = optimizer.flat_parameters
    writers = {}
    for call in plan.calls:
        for view in call.results:
            if view.buffer.kind == EXTERNAL and view.buffer.array is flat.grad.base:
                writers[view.offset] = call.operation, view.nbytes
    places = {4 * place.start: 4 * (place.stop - place.start) for place in flat.places}
    assert {offset: size for offset, (_, size) in writers.items()} == places
    assert all(operation.endswith(" backward") for operation, _ in writers.values())


def test_gradients_without_an_optimizer_are_memory_of_their_own():
    layer, x = tn.nn.Linear(6, 8), tn.randn(5, 6)

    def step(x):
        layer(x).sum().backward()
        gradients = [parameter.grad for parameter in layer.parameters()]
        layer.zero_grad()
        return gradients

    replayed = tn.compile(step)
    kept = [replayed(x) for _ in range(3)]
    addresses = {g.data.__array_interface__["data"][0] for row in kept for g in row}
    assert len(addresses) == 6
    for row in kept:
        assert [bits(g.data) for g in row] == [bits(g.data) for g in step(x)]


def test_no_gradient_is_computed_that_nobody_needs():
    """The first layer's input gets none: one product less than in the layer behind it."""
    model, optimizer = network()
    plan = plan_of(step_of(model, optimizer), *batch())
    products = [call for call in plan.calls if call.operation == "linear backward"]
    made = [view.shape for call in products for view in call.results]
    assert (5, 6) not in made
    assert (5, 8) in made
    model[0].requires_grad_(False)
    plan = plan_of(step_of(model, optimizer), *batch())
    products = [call for call in plan.calls if call.operation == "linear backward"]
    assert sorted(view.shape for call in products for view in call.results) == [(3,), (3, 8)]


def test_what_nobody_reads_is_dropped():
    model, optimizer = network()

    def with_metrics(loss, output):
        correct = (output.argmax(1) == tn.tensor([0, 1, 2, 0, 1])).to(tn.float32).mean()
        tn.randn(3, 3) @ tn.ones(3, 3)
        return loss if correct.shape == () else None

    without = plan_of(step_of(model, optimizer), *batch())
    dropped = plan_of(step_of(model, optimizer, with_metrics), *batch())
    returned = plan_of(
        step_of(model, optimizer, lambda loss, output: (loss, output.argmax(1))), *batch()
    )
    assert names(dropped) == names(without)
    assert "argmax" in names(returned)
    assert "argmax" not in names(without)


def test_what_changes_memory_of_others_is_kept():
    total, count = tn.zeros(3), tn.zeros(2, 3)

    def step(x):
        total.add_(x)
        count[1] = x * 2
        count[:, 1] += 1

    x = tn.tensor([1.0, 2.0, 3.0])
    plan = plan_of(step, x, replays=2)
    assert {buffer.kind for buffer in plan.written} == {EXTERNAL}
    assert total.tolist() == [3.0, 6.0, 9.0]
    assert count.tolist() == [[0.0, 3.0, 0.0], [2.0, 5.0, 6.0]]


def test_a_result_that_is_overwritten_is_dropped():
    def function(x):
        y = x * 3
        y[...] = x + 1
        return y

    plan = plan_of(function, tn.ones(3))
    assert "multiply" not in names(plan)
    assert plan.replays == 1


def test_constants_are_not_copied():
    def function(x):
        return x * tn.tensor([1.0, 2.0, 3.0]) + tn.arange(3)

    plan = plan_of(function, tn.ones(3))
    assert "constant" not in names(plan)
    kinds = {view.buffer.kind for call in plan.calls for view in call.inputs()}
    assert CONSTANT in kinds


def test_products_with_one_are_dropped():
    """A loss of one's own begins its backward pass with the gradient one."""
    weight = tn.ones(3, requires_grad=True)

    def function(x):
        ((x - weight).square().mean() * x.sum()).backward()
        gradient, weight.grad = weight.grad, None
        return gradient

    x = tn.tensor([1.0, 2.0, 4.0])
    plan = plan_of(function, x)
    scalars = [c for c in plan.calls if c.name == "multiply" and c.results[0].shape == ()]
    assert len(scalars) <= 1  # that of the forward pass, or none, as nobody reads it
    assert bits(tn.compile(function)(x).data) == bits(function(x).data)


@pytest.mark.parametrize(("start", "change", "factor"), [(0, 0, 0), (1, 2, 3), (2, 0, 2)])
def test_products_with_other_numbers_are_not(start, change, factor):
    def function(x):
        one = tn.full((), float(start))
        if change:
            one += change
        return (x * 2) * one

    step = tn.compile(function)
    for _ in range(3):
        assert step(tn.tensor([1.0, 2.0])).tolist() == [2.0 * factor, 4.0 * factor]


def test_buffers_are_of_the_kinds_that_they_seem():
    model, optimizer = network(tn.optim.SGD)
    x, labels = batch()
    plan = plan_of(step_of(model, optimizer), x, labels)
    kinds = {}
    for call in plan.calls:
        for view in (*call.inputs(), *call.results):
            kinds.setdefault(view.buffer.kind, set()).add(view.buffer)
    assert len(kinds[INPUT]) == 2
    assert all(buffer in plan.layout.offsets for buffer in kinds[INTERNAL])
    (flat,) = optimizer.flat_parameters
    assert {id(flat.data.base), id(flat.grad.base)} <= {id(b.array) for b in kinds[EXTERNAL]}


@pytest.fixture(params=[False, True], ids=["apart", "joined"])
def shown(request):
    model, optimizer = network()
    plan = plan_of(step_of(model, optimizer), *batch(), fuse=request.param)
    return plan, plan.describe(), plan.to_dot()


def test_the_description_has_a_line_for_each_call(shown):
    plan, text, _ = shown
    lines = text.splitlines()
    assert all(len(line) <= 100 for line in lines)
    calls = [line for line in lines if re.match(r" *\d+  ", line)]
    assert len(calls) == len(plan.calls)
    for number, (line, call) in enumerate(zip(calls, plan.calls, strict=True)):
        assert re.match(rf" *{number}  {re.escape(call.operation)} +{re.escape(call.name)} ", line)
        assert "->" in line or line.endswith("...")
    heading = lines[: len(lines) - len(calls)]
    assert heading[0].startswith(f"{len(plan.calls)} calls; arena ")
    assert len(heading) == 2


def test_the_description_names_what_needs_new_memory():
    plan = plan_of(lambda x: tn.roll(x, 1) * 2, tn.ones(4))
    assert [call.name for call in plan.fresh_calls] == ["roll"]
    assert "calls that need new memory each time: roll\n" in plan.describe()


def test_the_graph_is_one(shown):
    """Nodes are declared or calls, brackets close, and arrows lead from earlier calls to later."""
    plan, _, dot = shown
    first, *lines, last = dot.splitlines()
    assert (first, last) == ("digraph plan {", "}")
    boxes = [int(n) for n in re.findall(r'^  call(\d+) \[label="[^"]+"\];$', dot, re.MULTILINE)]
    assert boxes == list(range(len(plan.calls)))
    ovals = set(re.findall(r"^  (\w+) \[shape=ellipse\];$", dot, re.MULTILINE))
    arrows = re.findall(r'^  (\w+) -> (\w+) \[label="[\dx]+"\];$', dot, re.MULTILINE)
    assert len(boxes) + len(ovals) + len(arrows) + 2 == len(lines)
    for source, target in arrows:
        assert target.startswith("call")
        if source.startswith("call"):
            assert int(source[4:]) < int(target[4:])
        else:
            assert source in ovals
    reached = {target for _, target in arrows}
    assert len(reached) >= len(plan.calls) - 2  # but for fills


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_reads_the_graph(shown):
    _, _, dot = shown
    result = subprocess.run(
        ["dot", "-Tplain"], input=dot, capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith("graph ")


def test_reprs():
    step = tn.compile(batch)
    assert re.fullmatch(r"<compiled <function batch at .*> with 0 plans>", repr(step))
    model, optimizer = network()
    plan = plan_of(step_of(model, optimizer), *batch())
    assert repr(plan) == f"<Plan of {len(plan.calls)} calls>"


def test_a_compiled_function_keeps_name_and_text():
    def trained(x):
        """What it does."""
        return x

    step = tn.compile(trained)
    assert (step.__name__, step.__doc__, step.fn) == ("trained", "What it does.", trained)
    assert tn.compile(fuse=False)(trained).fn is trained
