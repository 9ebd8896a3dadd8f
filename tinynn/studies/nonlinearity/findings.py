"""What the report of the study `nonlinearity` says of its results."""

from __future__ import annotations

from math import isnan

from tinynn.studies.nonlinearity.networks import ACTIVATED, DEEP, FLAT, NETWORKS, PRECISIONS
from tinynn.studies.nonlinearity.view import View
from tinynn.studies.shared.report import (
    Difference,
    counted,
    enumeration,
    mean,
    percent,
    spread,
    table,
)
from tinynn.studies.shared.study import Results

__all__ = ["answer", "ran", "seen"]

TRAINED = PRECISIONS[0]


def answer(results: Results) -> str:
    view = View(results)
    return "\n\n".join([whether_needed(view), what_depth_is(view), what_is_saved(view)])


def whether_needed(view: View) -> str:
    better = view.clearly_better(DEEP)
    verdict = "It is needed" if "ReLU" in better else "This run does not show that it is needed"
    others = sorted(set(ACTIVATED) - {"ReLU"}, key=view.mean_accuracy)
    text = (
        f"{verdict}. Without an activation the network {view.shape()} recognises "
        f"{accuracy(view, DEEP)} of the test images, with ReLU {accuracy(view, 'ReLU')}, with the "
        f"other activations between {accuracy(view, others[0])} ({others[0]}) and "
        f"{accuracy(view, others[-1])} ({others[-1]})."
    )
    without_gain = [name for name in ACTIVATED if name not in better]
    if without_gain:
        text += f" Not clearly more than without: {enumeration(without_gain)}."
    return text


def what_depth_is(view: View) -> str:
    apart = max(view.collapses(TRAINED, "difference"))
    if not view.is_one_matrix():
        return (
            "Without it, the weight matrices should multiply out to a single one; but its outputs "
            f"for the test images differ from the network's by up to {apart:.1e}, more than "
            f"rounding can explain. Of the two linear networks, {deep_against_flat(view)}"
        )
    return (
        "Without it, depth is for nothing: the weight matrices multiply out to a single one, whose "
        f"outputs for the test images differ from the network's by at most {apart:.1e}, no more "
        f"than rounding explains. {class_changes(view)} So the deep linear network is "
        f"softmax regression with {view.measured['parameter_ratio']} times its parameters, and "
        f"{deep_against_flat(view)}"
    )


def class_changes(view: View) -> str:
    """How many classes are decided otherwise by the one matrix, and how narrowly."""
    changed = sum(view.collapses(TRAINED, "changed"))
    if not changed:
        return "The class of every image is the same."
    margin = max(view.collapses(TRAINED, "changed_margin"))
    return (
        f"The class of {changed} images (of all trainings together) is another; there the two "
        f"greatest outputs lie at most {margin:.1e} apart."
    )


def deep_against_flat(view: View) -> str:
    """How the accuracies of the two linear networks compare; without a beginning."""
    gain, gain_of_relu = view.gain(DEEP, FLAT), view.gain("ReLU", FLAT)
    both = f"({accuracy(view, DEEP)} against {accuracy(view, FLAT)})"
    if isnan(gain.error):
        return f"a single training of each cannot tell their accuracies apart {both}."
    if not gain.is_clear:
        return f"their accuracies do not differ clearly {both}."
    return (
        f"the accuracy of the deep one lies {points(gain.value)} that of softmax regression, "
        f"clearly by the spread of the trainings {both}; ReLU's lies {points(gain_of_relu.value)} "
        "it."
    )


def what_is_saved(view: View) -> str:
    batches = view.batches("training")
    savings = {batch: view.saving("training", batch, "ReLU") for batch in batches}
    told = [f"{what_of(s)} of a training step of {batch} images" for batch, s in savings.items()]
    text = f"Leaving ReLU out saves {enumeration(told)}."
    flat = view.saving("training", batches[0], DEEP, FLAT)
    if flat.is_clear and flat.value > 0:
        text += (
            " Whoever can do without it saves more by leaving out the hidden layers, too: a step "
            "of softmax regression is "
            f"{percent(flat.value)} shorter than that of the deep linear network."
        )
    return text


def what_of(saving: Difference) -> str:
    """
    >>> what_of(Difference(0.025, 0.004)), what_of(Difference(-0.002, 0.004))
    ('2.5 ± 0.4%', 'nothing clear (-0.2 ± 0.4%)')
    """
    if not saving.is_clear:
        return f"nothing clear ({in_words(saving)})"
    return in_words(saving) if saving.value > 0 else f"nothing ({in_words(saving)})"


# ---- what was run


def ran(results: Results) -> str:
    view = View(results)
    settings, measured = view.settings, view.measured
    images = measured["images"]
    parameters = measured["parameters"]
    return f"""
Networks for {images["train"]:,} images to train on, {images["validation"]:,} for validation and
{images["test"]:,} to test:

- {view.shape()}, {parameters[DEEP]:,} parameters, with each of {enumeration(list(ACTIVATED))} after
  the hidden layers, and with no activation ("deep linear");
- softmax regression, which is the last layer alone, {parameters[FLAT]:,} parameters.

Each is trained by SGD on the cross-entropy, {settings["batch_size"]} images a step, the learning
rate falling to nothing as a cosine does; {counted(settings["runs"], "training")} of
{counted(settings["epochs"], "epoch")}, with other initial values and another order of the images
each.{lost(view)}

The learning rate is each network's own: the one with the best validation accuracy after a training
of {counted(settings["search_epochs"], "epoch")}. {edge(view)}

{search_table(view)}

Four things are measured besides.

- Is the deep linear network one matrix? Its weights are multiplied out, `W = W3 W2 W1` and
  `b = W3 (W2 b1 + b2) + b3`, and both are given all test images.
- How far is each network from any linear one? For pairs of test images `x` and `y`, what it makes
  of their mean is compared with the mean of what it makes of them:
  `|f((x + y) / 2) - (f(x) + f(y)) / 2|` relative to `|(f(x) + f(y)) / 2|`.
- Time: training steps and forward passes on one batch, on
  {counted(measured["timings"]["threads"], "thread")}, with no other run beside them. The network
  without an activation is one linear layer after the other, with nothing in between. The networks
  take turns for {counted(settings["timing_rounds"], "round")}, and a ratio is the median of those
  within a round; then they are made anew, {counted(settings["timing_sets"], "set")} in all, since
  it can matter where in memory they lie.
- A plane, where decisions can be drawn: {settings["plane_points"]} points on spiral arms, networks
  with hidden layers of {enumeration([str(n) for n in settings["plane_hidden"]])} units trained by
  AdamW for {settings["plane_steps"]} steps, at whichever of the rates
  {enumeration([f"{rate:g}" for rate in settings["plane_rates"]])} leaves the least loss. Their
  accuracy is that on ten times as many other points.
"""


def lost(view: View) -> str:
    """Which networks lost trainings; begins with a space, or is empty."""
    missing = {name: view.settings["runs"] - len(view.runs(name)) for name in NETWORKS}
    told = [f"{count} of {name}" for name, count in missing.items() if count]
    return f" Trainings that diverged are left out: {enumeration(told)}." if told else ""


def edge(view: View) -> str:
    """Whether a better rate may lie outside of those tried."""
    rates = view.settings["rates"]
    at_edge = [name for name in NETWORKS if view.rate(name) in (min(rates), max(rates))]
    if not at_edge:
        return "None of them is the lowest or the highest one tried."
    return f"For {enumeration(at_edge)} it is at the edge of those tried: there may be a better."


def search_table(view: View) -> str:
    rows = []
    for name in NETWORKS:
        found, chosen = view.measured["search"][name], f"{view.rate(name):g}"
        cells = {rate: "diverged" if a is None else percent(a) for rate, a in found.items()}
        rows.append([name, *(f"**{c}**" if r == chosen else c for r, c in cells.items())])
    return table(["rate", *view.measured["search"][DEEP]], rows)


# ---- what was seen


def seen(results: Results) -> str:
    view = View(results)
    return "\n\n".join([in_the_plane(view), on_the_images(view), one_matrix(view), in_time(view)])


def in_the_plane(view: View) -> str:
    linear = max(view.plane(name)["accuracy"] for name in (FLAT, DEEP))
    found = {name: view.plane(name)["accuracy"] for name in ACTIVATED}
    least = min(found, key=lambda name: found[name])
    if found[least] > linear:
        text = (
            "Without an activation the plane is divided by straight lines, as by softmax "
            f"regression, and {percent(linear)} of the points at most are told apart. Every "
            f"activation bends the lines: the least accurate, {least}, is right on "
            f"{percent(found[least])}."
        )
    else:
        bad = [name for name, value in found.items() if value <= linear]
        text = (
            f"With {enumeration(bad)} the network tells the arms apart no better than the best "
            f"one that divides the plane by straight lines ({percent(linear)}), in this run."
        )
    picture = "![What each network makes of the plane, and its accuracy](boundaries.png)"
    return f"### In the plane\n\n{picture}\n\n{text}"


def on_the_images(view: View) -> str:
    better, worse = view.clearly_better("ReLU"), view.clearly_worse("ReLU")
    texts = [gains(view)]
    if better:
        texts.append(f"Clearly better than ReLU: {enumeration(better)}.")
    if worse:
        texts.append(f"Clearly worse than ReLU: {enumeration(worse)}.")
    if not better and not worse:
        texts.append("None of the other activations is clearly better or worse than ReLU.")
    texts.append(f"Of the two linear networks, {deep_against_flat(view)}")
    rows = [
        [
            name,
            f"{view.rate(name):g}",
            accuracy(view, name),
            f"{mean(view.values(name, 'test_loss')):.4f}",
            f"{mean([run['train_loss'][-1] for run in view.runs(name)]):.4f}",
            f"{mean(view.after_first_epoch(name)):.3f}",
            f"{mean(view.values(name, 'departure')):.1e}",
        ]
        for name in NETWORKS
    ]
    columns = ["network", "rate", "test accuracy", "test loss", "training loss", "after an epoch"]
    return f"""### On the images

![Test error of each network](errors.png)

{" ".join(texts)}

{table([*columns, "departure"], rows)}

Accuracies are means of the trainings, and their standard deviations. Losses are in nats per image;
the training loss is that of the last epoch, "after an epoch" is the
validation loss after the first. Departure: how far the network is from linear, as a share of its
output.

![Training and validation loss by epoch](losses.png)"""


def gains(view: View) -> str:
    """How much more is recognised with each activation than without."""
    found = {name: view.gain(name, DEEP) for name in ACTIVATED}
    least, *_, most = sorted(found, key=lambda name: found[name].value)
    if view.clearly_better(DEEP) == list(ACTIVATED):
        return (
            "With every activation clearly more images are recognised than without. The least gain "
            f"is that of {least}, {100 * found[least].value:.2f} points; the greatest that of "
            f"{most}, {100 * found[most].value:.2f} points."
        )
    told = view.clearly_better(DEEP)
    return (
        f"Clearly more images than without an activation are recognised with {enumeration(told)}."
        if told
        else "With no activation are clearly more images recognised than without."
    )


def one_matrix(view: View) -> str:
    share = max(max(view.collapses(dtype, "share_of_bound")) for dtype in PRECISIONS)
    within = (
        f"Rounding explains it: no difference is more than {share:.1e} of its bound."
        if view.is_one_matrix()
        else f"Rounding does not explain it: a difference is {share:.1e} times its bound."
    )
    collapses = [run["collapse"] for run in view.runs(DEEP)]
    bent = {name: mean(view.values(name, "departure")) for name in ACTIVATED}
    least, flat = min(bent, key=lambda name: bent[name]), mean(view.values(DEEP, "departure"))
    rows = [
        [
            f"`{dtype}`",
            f"{max(view.collapses(dtype, 'difference')):.1e}",
            f"{max(view.collapses(dtype, 'bound')):.1e}",
            f"{max(view.collapses(dtype, 'share_of_bound')):.1e}",
            str(sum(view.collapses(dtype, "changed"))),
        ]
        for dtype in PRECISIONS
    ]
    columns = ["precision", "greatest difference", "bound", "of the bound", "other class"]
    if flat < bent[least]:
        nonlinear = (
            "The networks with an activation have no such matrix: the one nearest to linear, "
            f"{least}, departs from it by {percent(bent[least])} of its output, the deep linear "
            f"one by {flat:.1e}."
        )
    else:
        nonlinear = f"But {least} departs no more from linear than the network without activations."
    return f"""### One matrix

The outputs of the deep linear network are of a size of
{mean([found["typical_output"] for found in collapses]):.1f} (root of the mean square), and in
`float32`, in which it was trained, those of its one matrix differ from them by at most
{max(view.collapses(TRAINED, "difference")):.1e}. {within} {class_changes(view)} The
narrowest decision has a margin of
{min(found["narrowest_margin"] for found in collapses):.1e} between the two greatest outputs.

{table(columns, rows)}

The bound is the greatest difference that rounding can make, whatever the order of the sums; "of the
bound" is the greatest share of its own bound that any output reached. {nonlinear}"""


def in_time(view: View) -> str:
    texts = [timing_table(view, kind) for kind in ("training", "inference")]
    return f"""### What leaving it out would save

![Time of a training step and of a forward pass](time.png)

{what_is_saved(view)}

Training steps (forward, backward, optimizer), without loading the images:

{texts[0]}

Forward passes alone:

{texts[1]}

"Saved" is the share of the time that the same network without the activation would save: the mean
of {counted(view.settings["timing_sets"], "set")} of networks, and its standard error; another run
can differ by more than this error. The time of
the network without an activation is its median; that of another is the same, times the ratio of
the two in one round. An epoch is {view.measured["steps_per_epoch"]:,} steps of the first kind."""


def timing_table(view: View, kind: str) -> str:
    batches = view.batches(kind)
    is_training = kind == "training"
    columns = ["network"]
    for batch in batches:
        columns += [f"{batch} images", "saved"]
    rows = []
    for name in NETWORKS:
        row = [name]
        for batch in batches:
            row.append(f"{1e6 * view.seconds(kind, batch, name):,.0f} µs")
            row.append(in_words(view.saving(kind, batch, name)) if name in ACTIVATED else "")
        if is_training:
            epoch = view.seconds(kind, batches[0], name) * view.measured["steps_per_epoch"]
            row.append(f"{epoch:.2f} s")
        rows.append(row)
    return table([*columns, *["an epoch"] * is_training], rows)


# ---- words for numbers


def accuracy(view: View, name: str) -> str:
    return spread(view.values(name, "test_accuracy"), 2)


def points(value: float) -> str:
    """
    >>> points(-0.0012)
    '0.12 points below'
    """
    return f"{abs(100 * value):.2f} points {'above' if value > 0 else 'below'}"


def in_words(saving: Difference) -> str:
    """
    >>> in_words(Difference(0.025, 0.004))
    '2.5 ± 0.4%'
    """
    return f"{100 * saving.value:.1f} ± {100 * saving.error:.1f}%"
