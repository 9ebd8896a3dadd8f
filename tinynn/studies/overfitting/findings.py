"""What the report of the study `overfitting` says of its results."""

from __future__ import annotations

from tinynn.studies.overfitting.plan import ALL, MAIN
from tinynn.studies.overfitting.remedies import of_the_remedies, what_helps
from tinynn.studies.overfitting.view import View
from tinynn.studies.overfitting.words import accuracy, loss, points, wrong_labels
from tinynn.studies.shared.report import capital, counted, difference, enumeration, percent, table
from tinynn.studies.shared.study import Results

__all__ = ["answer", "ran", "seen"]


def answer(results: Results) -> str:
    view = View(results)
    return "\n\n".join([whether_it_hurts(view), where_not(view), what_helps(view)])


def whether_it_hurts(view: View) -> str:
    fall = view.fall()
    few = f"On {view.images(MAIN)}"
    if not view.is_hurt():
        return (
            f"This run does not show that more neurons hurt. {few}, {greatest_fall_in_words(view)}"
        )
    return (
        f"They can hurt. {few}, from {fall.first} to {fall.second} neurons the training accuracy "
        f"rises from {accuracy(view, MAIN, fall.first, 'train')} to "
        f"{accuracy(view, MAIN, fall.second, 'train')}, and the validation accuracy falls from "
        f"{accuracy(view, MAIN, fall.first)} to {accuracy(view, MAIN, fall.second)}. Of the wrong "
        f"labels {wrong_labels(view, fall.first)} were learned before, and now "
        f"{wrong_labels(view, fall.second)}. {second_descent(view)}"
    )


def greatest_fall_in_words(view: View, case: str = MAIN) -> str:
    """Where the validation accuracy falls most, though not surely or with training accuracy."""
    fall = view.fall(case)
    if fall.difference.value <= 0:
        return "no wider network has a lower validation accuracy than a narrower one."
    first, second = (accuracy(view, case, width) for width in fall[:2])
    text = (
        f"the greatest fall of validation accuracy is from {first} at {fall.first} neurons to "
        f"{second} at {fall.second}, "
    )
    if not fall.is_sure:
        return text + "no more than chance may explain."
    return text + "and training accuracy does not rise there."


def second_descent(view: View) -> str:
    """Whether still more neurons mend what more neurons broke."""
    fall, further = view.fall(), view.second_descent()
    if further is None:
        return "No wider network was run."
    widest = accuracy(view, MAIN, further.second)
    if further.difference.value >= 0 or not further.is_sure:
        return (
            "Still more neurons do not surely mend it: the best of the wider networks, with "
            f"{further.second:,}, reaches {widest}."
        )
    values = view.values(MAIN, "validation_accuracy")
    lacking = difference(values[fall.first], values[further.second])
    whole = (
        "not clearly different from that"
        if not lacking.is_clear
        else "less than that"
        if lacking.value > 0
        else "more than that"
    )
    return (
        f"Still more neurons mend it again: with {further.second:,} it is {widest}, {whole} with "
        f"{fall.first}."
    )


def where_not(view: View) -> str:
    others = [name for name in view.case_names() if name != MAIN]
    hurt = [name for name in others if view.is_hurt(name)]
    unhurt = [name for name in others if name not in hurt]
    texts = []
    if unhurt:
        texts.append(
            "More neurons never surely make the validation accuracy worse on "
            f"{enumeration([view.images(name) for name in unhurt])}."
        )
    if hurt:
        texts.append(f"They do on {enumeration([view.images(name) for name in hurt])}, too.")
    return " ".join(texts)


# ---- what was run


def ran(results: Results) -> str:
    view = View(results)
    settings, sizes = view.settings, view.sizes
    widths = [f"{width:,}" for width in view.widths(MAIN)]
    others = [f"{width:,}" for width in settings["other_widths"]]
    shares = [percent(share, 0) for share in settings["other_noises"]]
    wide = [f"{width:,}" for width in settings["all_widths"]]
    return f"""
Networks with two hidden layers of ReLU, the second half as wide as the first. "Width" is the number
of neurons in the first, and stands for both.

- The main case: {sizes["set"]:,} images, {percent(settings["noise"], 0)} of them with a wrong
  label, drawn evenly from the other digits. Widths {enumeration(widths)}.
- The same images with {enumeration(shares)} wrong labels. Widths {enumeration(others)}.
- All {sizes["train"]:,} images there are to train on, labelled rightly. Widths {enumeration(wide)}.

Each network of the first two kinds is trained {settings["sets"]} times, on {settings["sets"]} sets
without a common image, with initial values and an order of their own; those on all images
{settings["all_runs"]} times. It is SGD with momentum {settings["momentum"]:g},
{settings["batch_size"]} images a step, a learning rate that falls from
{settings["lr"]:g} to nothing as a cosine does:
{settings["epochs"]} epochs on few images, {settings["all_epochs"]} on all of them. That is
{steps(view, MAIN):,} steps and {steps(view, ALL):,}. Nothing else is done about overfitting.

Training accuracy counts by the labels that were trained on, wrong ones included. Everything else is
judged by right labels: the curves by width on {sizes["validation"]:,} validation images, the
remedies on {sizes["test"]:,} test images that nothing was chosen by. Losses are cross-entropies of
the probabilities, whatever the loss that was trained with.

The remedies are tried on the network that is worst off: of all pairs of widths in the main case,
the wider one of the pair between which the validation accuracy falls most, {view.treated()}. Their
strengths are those that led to the best validation accuracy in an earlier search, each alone:

- weight decay {settings["weight_decay"]:g}; dropout of {percent(settings["dropout"], 0)} of the
  hidden units; label smoothing, which spreads {percent(settings["label_smoothing"], 0)} of each
  label over all digits;
- augmentation: images shifted, turned and scaled a little, anew in each epoch;
- early stopping: an end after {settings["patience"]} epochs without a better accuracy on
  {sizes["watched"]} validation images, and back to the best epoch. These have as many wrong labels
  as the training images;
- {settings["more"]} times as many images, with the same share of wrong labels;
- all five on the same images, at full strength, and "weaker": weight decay, dropout and smoothing
  at {percent(settings["weaker"], 0)} of it.

Times are measured apart, with nothing beside them, on
{counted(view.measured["threads"], "thread")}: an epoch with each remedy in turn,
{settings["timing_rounds"]} rounds, the median, times the epochs
that the trainings took.
"""


def steps(view: View, case: str) -> int:
    """The steps of a training."""
    is_all = case == ALL
    count = view.sizes["train"] if is_all else view.sizes["set"]
    epochs: int = view.settings["all_epochs" if is_all else "epochs"]
    return epochs * -(-count // int(view.settings["batch_size"]))


# ---- what was seen


def seen(results: Results) -> str:
    view = View(results)
    return "\n\n".join(
        [by_width(view), of_the_loss(view), of_the_parts(view), of_the_remedies(view)]
    )


def by_width(view: View) -> str:
    rows = [
        [
            f"{width:,}",
            f"{view.parameters(width):,}",
            accuracy(view, MAIN, width, "train"),
            accuracy(view, MAIN, width),
            loss(view, MAIN, width),
        ]
        for width in view.widths(MAIN)
    ]
    columns = ["width", "parameters", "training", "validation", "validation loss"]
    others = [name for name in view.case_names() if name != MAIN]
    return f"""
### Accuracy by width

![Training and validation accuracy by width](accuracy.png)

On {view.images(MAIN)}, {main_case(view)} {memorising(view, MAIN)}

{table(columns, rows)}

Mean and standard deviation over {view.settings["sets"]} training sets.

{other_cases(view, others)}
"""


def main_case(view: View) -> str:
    if not view.is_hurt():
        return (
            f"the expected effect did not show in this run. {capital(greatest_fall_in_words(view))}"
        )
    fall = view.fall()
    lost = points(fall.difference.value)
    return (
        f"from {fall.first} to {fall.second} neurons the validation accuracy falls by {lost}, from "
        f"{accuracy(view, MAIN, fall.first)} to {accuracy(view, MAIN, fall.second)}, while the "
        f"training accuracy rises. {second_descent(view)}"
    )


def memorising(view: View, case: str) -> str:
    width = view.memorised(case)
    least = percent(view.settings["memorised"], 0)
    if width is None:
        return f"No network learned {least} of its training images."
    return f"From {width:,} neurons on, {least} of the training images are learned."


def other_cases(view: View, names: list[str]) -> str:
    items = []
    for name in names:
        narrow, *_, wide = view.widths(name)
        fall = view.fall(name)
        verdict = (
            f"from {fall.first} to {fall.second} neurons it falls by "
            f"{points(fall.difference.value)}: the effect is here, too"
            if view.is_hurt(name)
            else f"the effect is not here: {greatest_fall_in_words(view, name).rstrip('.')}"
        )
        items.append(
            f"- {capital(view.images(name))}: the validation accuracy is "
            f"{accuracy(view, name, narrow)} at {narrow} neurons and {accuracy(view, name, wide)} "
            f"at {wide:,}, the training accuracy {accuracy(view, name, wide, 'train')} there; "
            f"{verdict}. {memorising(view, name)}"
        )
    return "\n".join(items)


def of_the_loss(view: View) -> str:
    items = []
    for name in view.case_names():
        rise = view.rise_of_loss(name)
        if rise.difference.value > 0 and rise.is_sure:
            items.append(
                f"- {capital(view.images(name))}: it rises from {loss(view, name, rise.first)} at "
                f"{rise.first} neurons to {loss(view, name, rise.second)} at {rise.second:,}."
            )
        else:
            items.append(f"- {capital(view.images(name))}: it does not surely rise anywhere.")
    listed = "\n".join(items)
    return f"""
### The loss by width

![Validation loss by width](loss.png)

The loss asks more than the accuracy: it punishes wrong answers by how sure they are.

{listed}
"""


def of_the_parts(view: View) -> str:
    fall = view.fall()
    rows = [
        [
            f"{width:,}",
            *(f"{view.parts(MAIN, key)[width]:.3f}" for key in ("error", "bias", "variance")),
        ]
        for width in view.widths(MAIN)
    ]
    return f"""
### Bias and variance

![Squared bias and variance by width](bias_variance.png)

The squared error of the probabilities for the validation images is the sum of two parts. The
squared bias is the error of the average over all networks one could get from other training sets
of this size, other wrong labels and other initial values. The variance is how much single networks
stray from that average. Both are estimated from the {view.settings["sets"]} networks of each width.

On {view.images(MAIN)}, {parts_between(view, fall.first, fall.second)} {peak_of_variance(view)}

{table(["width", "squared error", "squared bias", "variance"], rows)}
"""


def parts_between(view: View, first: int, second: int) -> str:
    """How the two parts change from one width to another."""
    told = [
        f"the {word} {'rises' if parts[second] > parts[first] else 'falls'} from "
        f"{parts[first]:.3f} to {parts[second]:.3f}"
        for key, word in (("bias", "squared bias"), ("variance", "variance"))
        for parts in [view.parts(MAIN, key)]
    ]
    return f"from {first} to {second} neurons {enumeration(told)}."


def peak_of_variance(view: View) -> str:
    peak, variances = view.peak_of_variance(), view.parts(MAIN, "variance")
    ends = [min(variances), max(variances)]
    if peak in ends:
        return f"The variance is greatest at {peak:,} neurons, at an end of the widths."
    low, high = (f"{variances[width]:.3f} at {width:,}" for width in ends)
    return (
        f"The variance is greatest at {peak:,} neurons, {variances[peak]:.3f}, against {low} and "
        f"{high}."
    )
