"""What the report of the study `learning-rate` says of its results."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from tinynn.studies.learning_rate.runs import swing
from tinynn.studies.learning_rate.view import Run, View, final, has_settled, peak
from tinynn.studies.shared.report import (
    capital,
    difference,
    enumeration,
    mean,
    percent,
    spread,
    table,
)
from tinynn.studies.shared.study import Results

__all__ = ["answer", "ran", "seen", "why"]

SOURCES = """
- Y. LeCun, P. Simard, B. Pearlmutter, "Automatic learning rate maximization by on-line estimation
  of the Hessian's eigenvectors", NIPS 1992: the limit `2 / eigenvalue`, found without the Hessian.
- J. Cohen and others, "Gradient descent on neural networks typically occurs at the edge of
  stability", ICLR 2021, arXiv:2103.00065: the eigenvalue grows to `2 / rate` and stays there.
- A. Lewkowycz and others, "The large learning rate phase of deep learning: the catapult
  mechanism", 2020, arXiv:2003.02218: beyond it the loss may shoot up, and come down where it is
  flatter.
- J. Gilmer and others, "A loss curvature perspective on training instability in deep learning",
  2021, arXiv:2110.04369: warm-up and clipping seen that way.
- L. Smith, "Cyclical learning rates for training neural networks", 2017, arXiv:1506.01186: the
  range test.
"""


def answer(results: Results) -> str:
    view = View(results)
    rate, runs = view.best()
    lost, went_on = parted(view.case_runs())
    texts = [
        f"At rate {view.case}, {len(lost)} of {len(lost + went_on)} trainings diverged"
        + (f", and what went on ended at {outcome(went_on)} validation accuracy" if went_on else "")
        + f"; at rate {rate:.2g} they ended at {outcome(runs)}."
    ]
    slow = min(view.descents_by_rate(), key=lambda descent: float(descent["rate"]))
    limit = 2 / peak(slow)
    if view.settings["case"] > limit:
        texts.append(
            f"The loss bends too much for such steps: even at rate {slow['rate']:g} the largest "
            f"eigenvalue of its Hessian grows to {peak(slow):.1f}, and there a step of more than "
            f"`2 / eigenvalue` = {limit:.2g} lands farther from the bottom than it began."
        )
    else:
        texts.append(
            f"Curvature does not forbid it in this run: the largest eigenvalue of the loss's "
            f"Hessian stayed at or below {peak(slow):.2g}, which allows rates up to {limit:.2g}."
        )
    return " ".join([*texts, quickest(view)])


def quickest(view: View) -> str:
    """Which rate was done first, and whether it was the highest."""
    target = view.settings["targets"][-1]
    found = view.quickest(target)
    if found is None:
        return f"No rate brought all of its trainings to {percent(target, 0)} validation accuracy."
    rate, epochs = found
    highest = max(rate for rate, _ in view.by_rate())
    comment = "the highest rate tried" if rate == highest else "not the highest rate tried"
    return (
        f"The quickest to {percent(target, 0)} validation accuracy was rate {rate:.2g}, after "
        f"{epochs:.2g} epochs: {comment}."
    )


def ran(results: Results) -> str:
    view = View(results)
    settings, measured = view.settings, view.measured
    rates = enumeration([f"{rate:g}" for rate in settings["rates"]])
    scheduled = enumeration([f"{rate:g}" for rate in settings["scheduled_rates"]])
    return f"""
The network `784-256-128-10` with ReLU, trained on {measured["images"]:,} images by SGD on the
cross-entropy, batch `64`, {settings["epochs"]} epochs, {settings["seeds"]} seeds of each kind.
Validation is on {measured["validation_images"]:,} other images.

- Rates {rates}, and the one that a learning-rate range test of {settings["range_steps"]} steps
  suggests, all without a schedule.
- Rate {view.case} with one thing changed: batch size, initial weights, the kind of units,
  momentum, a gradient that is clipped.
- Every schedule, from {scheduled}.
- Gradient descent on {measured["descents"][0]["images"]:,} images at once,
  {settings["descent_steps"]} steps, and along it the largest eigenvalue of the loss's Hessian, by
  power iteration with products of Hessian and vector (the gradient of a gradient).
"""


def seen(results: Results) -> str:
    view = View(results)
    return "\n\n".join([the_case(view), the_curvature(view), the_rates(view), the_schedules(view)])


def the_case(view: View) -> str:
    restless = view.restless()
    text = f"### Rate {view.case}\n\n![Accuracy by epoch](oscillation.png)\n\n"
    if restless is None:
        text += f"Every training at rate {view.case} diverged, whatever the batch size. "
    else:
        accuracies = restless["validation_accuracy"]
        calm = swing(view.best()[1][0]["validation_accuracy"])
        text += (
            "The most restless of the trainings that went on "
            f"(batch {restless['batch_size']}, seed {restless['seed']}) had validation accuracies "
            f"of {enumeration([percent(value, 0) for value in accuracies])}: it moved back and "
            f"forth by {100 * swing(accuracies):.1f} points per epoch, against {100 * calm:.1f} at "
            "the best rate. "
        )
        if swing(accuracies) <= 2 * calm:
            text += f"So rate {view.case} did not oscillate in this run. "
    sound = [name for name in view.variations() if works(view, view.variation(name))]
    if sound:
        text += f"With {enumeration(sound)} training ended about where it does at the best rate. "
    else:
        text += "Nothing that was changed brought training to where it ends at the best rate. "
    rows = [variation_row(view, label) for label in view.variations()]
    columns = ["changed", "diverged", "training", "validation", "swing", "dead units"]
    return (
        f"{text.strip()}\n\n{table(columns, rows)}\n\n"
        "Accuracies are those after the last epoch, of the trainings that did not diverge. Swing: "
        "how far the validation accuracy moved back and forth per epoch, in points. Dead units: "
        "those that are zero for every validation image."
    )


def variation_row(view: View, label: str) -> list[str]:
    runs = view.variation(label)
    lost, went_on = parted(runs)
    dead = [run["dead"] for run in went_on if run["dead"] is not None]
    return [
        label,
        f"{len(lost)} of {len(runs)}",
        spread([run["train_accuracy"][-1] for run in went_on]) if went_on else "-",
        spread([run["validation_accuracy"][-1] for run in went_on]) if went_on else "-",
        f"{100 * mean([swing(r['validation_accuracy']) for r in went_on]):.1f}" if went_on else "-",
        percent(mean(dead), 0) if dead else "-",
    ]


def works(view: View, runs: list[Run]) -> bool:
    """Whether all trainings end within five points of the best rate's mean."""
    return all(
        not run["diverged"] and run["validation_accuracy"][-1] > final(view.best()[1]) - 0.05
        for run in runs
    )


def the_curvature(view: View) -> str:
    rows = []
    for descent in view.descents_by_rate():
        losses, limit = descent["losses"], 2 / descent["rate"]
        rises = sum(after > before for before, after in pairwise(losses))
        complete = len(losses) == view.settings["descent_steps"]
        rows.append(
            [
                f"{descent['rate']:g}",
                f"{limit:.3g}",
                f"{peak(descent):.1f}",
                f"{rises} of {len(losses) - 1}",
                f"{losses[-1]:.3g}" if complete else f"lost after step {len(losses)}",
            ]
        )
    columns = [
        "rate",
        "`2 / rate`",
        "greatest eigenvalue",
        "steps that raised the loss",
        "last loss",
    ]
    below = [d for d in view.descents_by_rate() if peak(d) < 2 / d["rate"]]
    settled = [d for d in view.descents_by_rate() if has_settled(d, view.settings)]
    lost = [
        d
        for d in view.descents_by_rate()
        if len(d["losses"]) < view.settings["descent_steps"] and d not in below
    ]
    sentences = [
        (below, "the eigenvalue never came to `2 / rate`"),
        (settled, "it went beyond, the loss jumped, and then it came back below"),
        (lost, "it went beyond, and the loss was lost"),
    ]
    text = "; ".join(
        f"at {'rate' if len(which) == 1 else 'rates'} {rates_of(which)} {what}"
        for which, what in sentences
        if which
    )
    return (
        "### Steps against curvature\n\n![Curvature along gradient descent](curvature.png)\n\n"
        f"{capital(text)}.\n\n{table(columns, rows)}"
    )


def rates_of(descents: list[Any]) -> str:
    return enumeration([f"{descent['rate']:g}" for descent in descents])


def the_rates(view: View) -> str:
    targets = view.settings["targets"]
    rows = [rate_row(view, rate, runs) for rate, runs in view.by_rate()]
    columns = [
        "rate",
        "diverged",
        "validation",
        *(f"to {percent(target, 0)}" for target in targets),
    ]
    return (
        "### A high rate is not a short training\n\n![Accuracy and time by rate](rates.png)\n\n"
        f"{quickest(view)} {of_the_range_test(view)}\n\n{table(columns, rows)}\n\n"
        "The last columns: epochs to a validation accuracy, and the seconds of those epochs with "
        f"one thread, at {1000 * view.measured['step_seconds']:.2g} ms a step."
    )


def rate_row(view: View, rate: float, runs: list[Run]) -> list[str]:
    lost, went_on = parted(runs)
    epoch_seconds = (
        runs[0]["planned_steps"] / view.settings["epochs"] * view.measured["step_seconds"]
    )
    cells = []
    for target in view.settings["targets"]:
        epochs = view.epochs_to(runs, target)
        cells.append(f"{epochs:.1f}, {epochs * epoch_seconds:.1f} s" if epochs else "not by all")
    return [
        f"{rate:.2g}",
        f"{len(lost)} of {len(runs)}",
        spread([run["validation_accuracy"][-1] for run in went_on]) if went_on else "-",
        *cells,
    ]


def of_the_range_test(view: View) -> str:
    found = view.measured["range_test"]
    if found["suggestion"] is None:
        return "The range test suggested no rate: the loss never fell in it."
    rate, best = view.best()
    runs = view.runs("suggested")
    apart = difference(
        *([0.0 if r["diverged"] else r["validation_accuracy"][-1] for r in s] for s in (best, runs))
    )
    lowest = found["rates"][found["losses"].index(min(found["losses"]))]
    verdict = (
        f"clearly worse than the {outcome(best)} of rate {rate:.2g}"
        if apart.is_clear
        else f"and no clear difference from the {outcome(best)} of rate {rate:.2g}"
    )
    warned = (
        f"; its loss was lowest at {lowest:.2g} and rose from there on, so it warned of {view.case}"
        if lowest < view.settings["case"]
        else f"; its loss was still falling at {view.case}, so it did not warn of that"
    )
    return (
        f"The range test suggested {found['suggestion']:.2g}, before any training. With that rate "
        f"the network ended at {outcome(runs)}, {verdict}{warned}."
    )


def the_schedules(view: View) -> str:
    groups = view.schedule_groups()
    names = view.names(groups[0])
    rows = [
        [name, *(outcome(runs) if (runs := view.runs(g, name)) else "" for g in groups)]
        for name in names
    ]
    columns = ["schedule", *(group.removeprefix("schedules ") for group in groups)]
    constant = view.runs(groups[0], "none")
    best = max(names, key=lambda name: final(view.runs(groups[0], name)))
    apart = difference(
        *(
            [0.0 if r["diverged"] else r["validation_accuracy"][-1] for r in runs]
            for runs in (view.runs(groups[0], best), constant)
        )
    )
    text = (
        f"Of the {groups[0]} the best was {best} with "
        f"{outcome(view.runs(groups[0], best))}, against {outcome(constant)} without a schedule: "
        + ("a clear difference." if apart.is_clear else "no clear difference with so few seeds.")
    )
    idle = [
        run for run in view.runs(groups[0], "plateau") if min(run["rates"]) == max(run["rates"])
    ]
    if idle:
        text += (
            f" Plateau, which waits for epochs without gain, left the rate alone in {len(idle)} of "
            f"{len(view.runs(groups[0], 'plateau'))} trainings: they were too short for it."
        )
    return (
        "### Schedules and warm-up\n\n![Loss and rate of every schedule](schedules.png)\n\n"
        f"{text} {of_warm_up(view)}\n\n{table(columns, rows)}\n\n"
        "Validation accuracy after the last epoch, of the trainings that did not diverge."
    )


def of_warm_up(view: View) -> str:
    group = view.schedule_groups()[-1]
    counts = {name: len(parted(view.runs(group, name))[0]) for name in ("none", "warm-up")}
    total = len(view.runs(group, "none"))
    change = (
        "it helped there"
        if counts["warm-up"] < counts["none"]
        else "it did not make that rate possible"
        if counts["none"]
        else "nothing diverged there in the first place"
    )
    return (
        f"With {group}, {counts['none']} of {total} trainings diverged without a warm-up "
        f"and {counts['warm-up']} with one: {change}."
    )


def why(results: Results) -> str:
    view = View(results)
    walks = view.measured["walk"]["walks"]
    walked = enumeration(
        [f"{abs(distances[-1]):.2g} at {product}" for product, distances in walks.items()]
    )
    steps = len(next(iter(walks.values()))) - 1
    excess = mean([(1 - distances[1]) / float(product) for product, distances in walks.items()]) - 1
    kinks = (
        f"The first steps were {percent(excess, 0)} longer than that formula says: where ReLU has "
        "its kink the loss bends, too, and no derivative sees it."
        if excess > 0.02
        else ""
    )
    peaks = view.peaks_by_units()
    units = enumeration([f"{value:.2g} with {name}" for name, value in peaks.items()])
    ratios = enumeration([f"{view.settings['case'] * value / 2:.2g}" for value in peaks.values()])
    ends = enumeration([outcome(view.case_runs_with(name)) for name in peaks])
    dead = [run["dead"] for run in view.case_runs() if run["dead"] is not None]
    calm = [run["dead"] for run in view.best()[1] if run["dead"] is not None]
    texts = [
        f"""
**A step that is too long lands on the other side, farther up.** Near its lowest point a loss is a
parabola in each direction. Where its curvature is `e`, a step of gradient descent multiplies the
distance to the bottom by `1 - rate e`: it shrinks for `rate e` below `2`, and beyond that it
grows, and changes sides. Measured on this network, along the direction that bends most: of a first
distance of one, {steps} steps left {walked} (times `rate e`). {kinks}
""",
        """
**The curvature adapts to the rate, up to a point.** Left alone, training goes to where the loss
bends more and more. A rate for which that passes `2 / rate` throws it out, and it goes on where
the loss is flatter. So rates somewhat above the limit train well, with a loss that jumps on the
way; far above it, no place near by is flat enough.
""",
        f"""
**The units decide how much it bends.** At the smallest rate the eigenvalue grew to {units}. Rate
{view.case} is {ratios} times `2 / eigenvalue`; trained with it, these networks ended at {ends}.
""",
    ]
    if dead and calm and mean(dead) > 2 * mean(calm) + 0.05:
        texts.append(
            f"""
**What is thrown far may not come back.** After training at rate {view.case},
{percent(mean(dead), 0)} of the ReLU units were zero for every image, against
{percent(mean(calm), 0)} at the best rate. No gradient reaches such a unit again. What is left is a
small network, or none: one that answers every image alike is right for one in ten.
"""
        )
    texts.append(
        """
**What helps, helps by shorter steps where it bends.** Clipping bounds the step. A schedule shortens
it in time, so that the bouncing settles. A warm-up leads training to flatter places before the rate
is high, but the rate it leads to must be one that can be held. Momentum `m` makes the steps of a
constant gradient `1 / (1 - m)` times as long, and moves the limit to `2 (1 + m) / e`.
"""
    )
    return "\n".join(text.strip() + "\n" for text in [*texts, f"Sources:\n\n{SOURCES.strip()}"])


def parted(runs: list[Run]) -> tuple[list[Run], list[Run]]:
    """Those that diverged, and those that went on."""
    return [r for r in runs if r["diverged"]], [r for r in runs if not r["diverged"]]


def outcome(runs: list[Run]) -> str:
    """The final validation accuracy, and how many diverged."""
    lost, went_on = parted(runs)
    if not went_on:
        return "all diverged"
    text = spread([run["validation_accuracy"][-1] for run in went_on])
    return f"{text} ({len(lost)} of {len(runs)} diverged)" if lost else text
