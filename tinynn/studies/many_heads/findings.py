"""What the report of the study `many-heads` says of its results."""

from __future__ import annotations

from tinynn.studies.many_heads.task import READOUTS
from tinynn.studies.many_heads.timings import KINDS
from tinynn.studies.many_heads.view import LINEAR, MLP, View
from tinynn.studies.shared.report import (
    Difference,
    counted,
    enumeration,
    percent,
    spread,
    table,
)
from tinynn.studies.shared.study import Results

__all__ = ["answer", "heads_of", "microseconds", "ran", "seen", "times"]

# Shares of right answers that lie no further apart are called the same.
CLOSE = 0.02


def answer(results: Results) -> str:
    view = View(results)
    return "\n\n".join([whether_needed(view), what_an_mlp_does(view), what_it_costs(view)])


def whether_needed(view: View) -> str:
    gain = view.gain(LINEAR, view.enough, view.one)
    verdict = "They are needed" if gain.is_clear and gain.value > 0 else "This run shows no need"
    width = view.settings["width"]
    return (
        f"{verdict}. Asked for {view.relations} things at once, {heads_of(view, view.one)} of "
        f"width {width} gives {accuracy(view, LINEAR, view.one)} right answers, "
        f"{heads_of(view, view.enough)} of width {width // view.enough} give "
        f"{accuracy(view, LINEAR, view.enough)}, with the same {view.measured['parameters']:,} "
        f"parameters and as many multiplications. {against_expected(view)} {beyond(view)}"
    )


def against_expected(view: View) -> str:
    """Whether each head finds one place."""
    share = percent(view.expected(view.one))
    start = f"Who finds {counted(view.one, 'place')} and guesses the rest has {share} right: "
    mean = sum(view.accuracies(LINEAR, view.one)) / len(view.runs(LINEAR, view.one))
    away = mean - view.expected(view.one)
    if abs(away) <= CLOSE:
        return f"{start}that is what the one head learns to do."
    return f"{start}the one head does {'better' if away > 0 else 'worse'} than that."


def beyond(view: View) -> str:
    """What more heads than relations are good for."""
    most = max(view.heads)
    if most == view.enough:
        return ""
    gain = view.gain(LINEAR, most, view.enough)
    if not gain.is_clear:
        return f"More heads than relations ({most}) make no clear difference."
    verb = "add" if gain.value > 0 else "cost"
    return f"More heads than relations ({most}) {verb} {points(gain)}."


def what_an_mlp_does(view: View) -> str:
    few = [heads for heads in view.heads if heads < view.relations]
    told = [
        f"{heads_of(view, n)} {'gives' if n == 1 else 'give'} {accuracy(view, MLP, n)}" for n in few
    ]
    text = f"With an MLP behind the attention {enumeration(told)}"
    helped = view.helped_by_mlp()
    if not helped:
        return f"{text}: no clear difference."
    heads = helped[0]
    return (
        f"{text}; that is more for {enumeration([heads_of(view, n) for n in helped])}. A head need "
        "not look at one place alone: from unequal weights an MLP can tell in part which colour "
        f"belongs to which place. With {heads_of(view, heads)} a head's weights at the places "
        f"asked for are {masses_of(view, MLP, heads)}, without the MLP "
        f"{masses_of(view, LINEAR, heads)}."
    )


def masses_of(view: View, readout: str, heads: int) -> str:
    return enumeration([f"{mass:.2f}" for mass in view.sorted_masses(readout, heads)])


def what_it_costs(view: View) -> str:
    heads = view.timed_heads(KINDS[0])
    ratios = {kind: view.ratio(kind, max(heads), min(heads)) for kind in KINDS}
    told = [f"{what_of(kind, view)} takes {times(ratio)} as long" for kind, ratio in ratios.items()]
    slower = [ratio.value - 1 > 2 * ratio.error for ratio in ratios.values()]
    start = "More heads do not clearly take longer"
    if any(slower):
        start = "More heads take longer" if all(slower) else "More heads take longer in part"
    return (
        f"{start}: with {max(heads)} heads instead of {min(heads)}, at the same width of "
        f"{view.settings['timed_width']}, {enumeration(told)}."
    )


def what_of(kind: str, view: View) -> str:
    if kind == "decode":
        return f"a token that attends to {view.settings['decode_context']:,} others"
    return f"the attention of a text of {view.settings['prefill_tokens']:,} tokens"


# ---- what was run


def ran(results: Results) -> str:
    view = View(results)
    settings = view.settings
    return f"""
{settings["persons"]} persons stand in a row, in random order. Each has a name, one of
{settings["colours"]} colours, and knows {view.relations} of them by name, one for each
relation. Everybody is asked for the colours of all whom he or she knows, each at a place that has
to be found by its name.

A person is a vector of {settings["width"]} numbers, the sum of embeddings of name, colour and known
names; then comes one attention over the row, and a readout for the {view.relations} answers: a
linear layer, or an MLP of {counted(4 * settings["width"], "unit")}. The heads are
{enumeration([str(n) for n in view.heads])} of equal total width, so that all networks with one
readout have the same parameters ({view.measured["parameters"]:,} with the linear layer) and the
same multiplications in a step.

Each is trained by AdamW with {counted(settings["steps"], "step")} of {settings["batch_size"]} new
rows, the learning rate falling to nothing as a cosine does;
{counted(settings["runs"], "training")} each, with other initial values and rows, at each learning
rate of {enumeration([f"{rate:g}" for rate in settings["rates"]])}. Told of are those at the rate
with the most right answers to rows for validation; the answers told of are to
{settings["test_rows"]} other rows.

The kernels are timed in turn, {counted(settings["timing_sets"], "set")} of
{counted(settings["timing_rounds"], "round")}, in single precision, with
{counted(view.measured["timings"]["threads"], "thread")}.
"""


# ---- what was seen


def seen(results: Results) -> str:
    view = View(results)
    return "\n\n".join(
        [
            answers_table(view),
            "![Right answers by number of heads](answers.png)",
            "![Loss by step](losses.png)",
            where_heads_look(view),
            "![Where each head looks](heads.png)",
            mass_table(view),
            times_table(view),
            "![Time by number of heads](times.png)",
        ]
    )


def answers_table(view: View) -> str:
    rows = [
        [
            str(heads),
            str(view.settings["width"] // heads),
            percent(view.expected(heads)),
            *(accuracy(view, readout, heads) for readout in READOUTS),
            *(f"{view.rate(readout, heads):g}" for readout in READOUTS),
        ]
        for heads in view.heads
    ]
    columns = [
        "heads",
        "of width",
        "a place a head",
        *(f"right, {readout}" for readout in READOUTS),
        *(f"rate, {readout}" for readout in READOUTS),
    ]
    return (
        "Right answers, mean and spread of the trainings. *A place a head* is what one has right "
        "who finds one place with each head and guesses the other answers.\n\n"
        f"{table(columns, rows)}"
    )


def where_heads_look(view: View) -> str:
    return (
        "Where the heads look, in one row of persons and one training: a panel a head, a line of "
        "it for each asking person, dark where the weight is. The marks are the places asked for, "
        "one kind for each relation."
    )


def mass_table(view: View) -> str:
    rows = []
    for readout, heads in ((LINEAR, view.one), (MLP, view.one), (LINEAR, view.enough)):
        for number, masses in enumerate(view.mass(readout, heads)):
            name = f"{heads_of(view, heads)}, {readout}: {chr(ord('a') + number)}"
            rows.append([name, *(f"{mass:.2f}" for mass in masses)])
    relations = [f"relation {chr(ord('A') + number)}" for number in range(view.relations)]
    return (
        "The weight that a head gives to the place of each relation, mean over all test rows:\n\n"
        f"{table(['head', *relations], rows)}"
    )


def times_table(view: View) -> str:
    heads = view.timed_heads(KINDS[0])
    rows = []
    for number in heads:
        row = [str(number), str(view.settings["timed_width"] // number)]
        for kind in KINDS:
            row.append(microseconds(view.seconds(kind, number)))
            row.append(times(view.ratio(kind, number, min(heads))) if number != min(heads) else "")
        rows.append(row)
    columns = ["heads", "of width", "text", "against one", "new token", "against one"]
    return (
        f"Times: {what_of('prefill', view)}, and "
        f"{what_of('decode', view)}.\n\n{table(columns, rows)}"
    )


# ---- words for numbers


def heads_of(view: View, number: int) -> str:
    """
    >>> heads_of(None, 1), heads_of(None, 4)
    ('one head', '4 heads')
    """
    return "one head" if number == 1 else counted(number, "head")


def accuracy(view: View, readout: str, heads: int) -> str:
    return spread(view.accuracies(readout, heads))


def points(gain: Difference) -> str:
    """
    >>> points(Difference(-0.05, 0.011))
    '5.0 ± 1.1 points'
    """
    return f"{abs(100 * gain.value):.1f} ± {100 * gain.error:.1f} points"


def times(ratio: Difference) -> str:
    """
    >>> times(Difference(1.254, 0.021))
    '1.25 ± 0.02 times'
    """
    return f"{ratio.value:.2f} ± {ratio.error:.2f} times"


def microseconds(seconds: float) -> str:
    """
    >>> microseconds(0.0012345)
    '1,234 µs'
    """
    return f"{1e6 * seconds:,.0f} µs"
