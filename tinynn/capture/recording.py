"""One run of a function under a recorder: from arguments to what a plan is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tinynn.autograd.tensor import Tensor, make_tensor, shared_version
from tinynn.backend import recording
from tinynn.backend.devices import Backend
from tinynn.backend.random import get_rng_state, set_rng_state
from tinynn.capture.buffers import EXTERNAL, INPUT, View
from tinynn.capture.errors import CaptureError
from tinynn.capture.fusion import find_pairs
from tinynn.capture.guards import Guards
from tinynn.capture.outputs import Outputs
from tinynn.capture.plan import Gradient, Plan
from tinynn.capture.recorder import ANY, Recorder
from tinynn.capture.traced import TracedArray


class Recorded(NamedTuple):
    """What came of a recorded run.

    Attributes:
        result: what the function returned, on real arrays.
        outputs: the pattern of the result.
        gradients: what the gradients of leaves are afterwards.
    """

    recorder: Recorder
    result: Any
    outputs: Outputs
    gradients: list[Gradient]

    def make_plan(self) -> Plan:
        """The plan of the run."""
        return Plan(self.recorder, self.outputs, self.gradients)


def record(
    function: Callable[..., Any],
    backend: Backend,
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
    fuse: bool,
    guards: Guards,
) -> Recorded:
    """Runs a function and writes down what it does.

    Arguments:
        fuse: whether operations that can be one are made one, in a second run from the same state;
            there is none if the function has changed what it looks at itself.
        guards: of what it looks at, made before.

    If it raises, everything is put back as it was before.
    """
    if recording.current() is not None:
        raise CaptureError(
            "compile: a compiled function is called within another one; compile the outer one alone"
        )
    random = get_rng_state()
    recorded = _run(function, Recorder(backend), arguments, keywords, random, guards)
    pairs = find_pairs(recorded.recorder, recorded.outputs.buffers()) if fuse else None
    if pairs and guards.changed_in_python() is None:
        _put_back(recorded.recorder, random)
        recorder = Recorder(backend)
        recorder.fusion = pairs
        recorded = _run(function, recorder, arguments, keywords, random, guards)
    guards.settle_kept(put_back=False)
    recorded.recorder.return_inputs()
    recorded.recorder.saved.clear()
    return recorded._replace(gradients=_settle(recorded.recorder))


def _run(
    function: Callable[..., Any],
    recorder: Recorder,
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
    random: dict[str, Any],
    guards: Guards,
) -> Recorded:
    recorder.begin()
    try:
        given, named = _traced(arguments, recorder), _traced(keywords, recorder)
        returned = function(*given, **named)
        outputs = Outputs(returned, recorder.output)
        recorder.end()
    except BaseException:
        recorder.end()
        _put_back(recorder, random)
        guards.settle_kept(put_back=True)
        raise
    return Recorded(recorder, outputs.of_recording(), outputs, [])


def _traced(value: Any, recorder: Recorder) -> Any:
    """The arguments with tensors on traced arrays."""
    if isinstance(value, Tensor):
        array = recorder.input(value.data)
        return make_tensor(array, None, shared_version(value))
    if type(value) in (tuple, list):
        return type(value)(_traced(item, recorder) for item in value)
    if type(value) is dict:
        return {key: _traced(item, recorder) for key, item in value.items()}
    return value


def _settle(recorder: Recorder) -> list[Gradient]:
    """Gives the leaves gradients on real arrays, and tells what a replay is to give them."""
    gradients = []
    for leaf, before in recorder.leaves.items():
        gradient = leaf.grad
        if gradient is None or not isinstance(gradient.data, TracedArray):
            if gradient is not before:
                gradients.append(Gradient(leaf, gradient, None))
            continue
        view: View = recorder.view(gradient.data)
        leaf.grad = make_tensor(gradient.data.array, None, None)
        if view.buffer.kind in (EXTERNAL, INPUT):
            gradients.append(Gradient(leaf, leaf.grad, None))
        else:
            gradients.append(Gradient(leaf, None, view))
    return gradients


def _put_back(recorder: Recorder, random: dict[str, Any]) -> None:
    """Undoes what a run has changed."""
    for buffer, contents in recorder.saved.items():
        buffer.array[...] = contents
    recorder.saved.clear()
    recorder.host.put_back()
    set_rng_state(random)
    for leaf, gradient in recorder.leaves.items():
        leaf.grad = recorder.before.get(leaf) if gradient is ANY else gradient
