"""What the report says of the remedies."""

from __future__ import annotations

from tinynn.studies.overfitting.plan import MAIN
from tinynn.studies.overfitting.settings import FEWER, FIVE, MORE, NONE
from tinynn.studies.overfitting.view import View
from tinynn.studies.overfitting.words import accuracy_after, listing, points
from tinynn.studies.shared.report import mean, percent, spread, table

__all__ = ["of_the_remedies", "what_helps"]


def what_helps(view: View) -> str:
    best = view.best([*FIVE, "more images"])
    gain = view.gain(best)
    start = (
        f"At {view.treated()} neurons, {accuracy_after(view, NONE)} of the test images are "
        "recognised without a remedy."
    )
    if gain.value <= 0 or not gain.is_clear:
        return f"{start} No single remedy helps clearly."
    return (
        f"{start} The best single remedy is {best}: {accuracy_after(view, best)}, at "
        f"{view.times_as_long(best):.2f} times the time. {all_together(view, best)}"
    )


def all_together(view: View, best: str) -> str:
    """All five remedies, at full strength and at less, against the best single one."""
    weaker = view.gain("all five, weaker", best)
    verdict = (
        "no clear difference from that"
        if not weaker.is_clear
        else "more than that"
        if weaker.value > 0
        else "less than that"
    )
    return (
        f"All five together, each as strong as is best alone, lead to "
        f"{accuracy_after(view, 'all five')}; at {percent(view.settings['weaker'], 0)} of their "
        f"strength to {accuracy_after(view, 'all five, weaker')}, {verdict}."
    )


def of_the_remedies(view: View) -> str:
    rows = [
        [
            name if name not in view.neurons() else f"{name} ({view.neurons()[name]:,})",
            accuracy_after(view, name),
            f"{mean(view.treated_values(name, 'test_loss')):.2f}",
            spread(view.treated_values(name, "train_accuracy")),
            f"{mean(view.treated_values(name, 'epochs')):.0f}",
            f"{view.seconds(name):.2f} s",
            str(1) if name == NONE else f"{view.times_as_long(name):.2f}",
        ]
        for name in view.remedy_names()
    ]
    columns = ["remedy", "test", "test loss", "training", "epochs", "time", "relative"]
    return f"""
### Remedies

![Accuracy by epoch, without and with remedies](course.png)

{the_course(view)}

![Test accuracy with each remedy, and its price](remedies.png)

{table(columns, rows)}

Width {view.treated()}, {view.images(MAIN)}, but for the rows that say otherwise. "Relative" is the
time of a training, that without a remedy being one. Augmented images are made by a thread of their
own meanwhile.

{which_help(view)}
"""


def the_course(view: View) -> str:
    best, epoch, last = view.course_of_validation(NONE)
    if epoch == view.settings["epochs"]:
        return (
            "Without a remedy, the accuracy on the watched validation images is best after the "
            f"last epoch, {percent(last)}: training longer does no harm in this run."
        )
    return (
        f"Without a remedy, the accuracy on the watched validation images is best after epoch "
        f"{epoch}, {percent(best)}, and {percent(last)} in the end (means over the trainings)."
    )


def which_help(view: View) -> str:
    others = [name for name in view.remedy_names() if name != NONE]
    better = [n for n in others if view.gain(n).is_clear and view.gain(n).value > 0]
    worse = [n for n in others if view.gain(n).is_clear and view.gain(n).value < 0]
    unclear = [n for n in others if n not in better and n not in worse]
    better.sort(key=lambda name: -view.gain(name).value)
    texts = []
    for names, verdict in ((better, "Clearly better"), (worse, "Clearly worse")):
        if names:
            gains = [f"{name} ({points(view.gain(name).value)})" for name in names]
            texts.append(f"{verdict} than no remedy: {listing(gains)}.")
    if unclear:
        texts.append(f"No clear difference: {listing(unclear)}.")
    return " ".join([*texts, cheapest(view, better)]).strip()


def cheapest(view: View, better: list[str]) -> str:
    """Which of the remedies that help takes least time, if any does."""
    without_fewer = [name for name in better if name not in (FEWER, MORE)]
    if not without_fewer:
        return ""
    least = min(without_fewer, key=view.times_as_long)
    dearest = max(without_fewer, key=view.times_as_long)
    return (
        f"The cheapest of the remedies that help is {least}, at {view.times_as_long(least):.2f} "
        f"times the time of none, the dearest {dearest}, at {view.times_as_long(dearest):.2f}."
    )
