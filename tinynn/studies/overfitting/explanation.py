"""Why more neurons hurt or do not, in the words and with the numbers of a run."""

from __future__ import annotations

from tinynn.studies.overfitting.plan import ALL, MAIN
from tinynn.studies.overfitting.settings import FIVE, NONE
from tinynn.studies.overfitting.view import View
from tinynn.studies.overfitting.words import accuracy, accuracy_after, wrong_labels
from tinynn.studies.shared.report import counted, mean, percent, table
from tinynn.studies.shared.study import Results

__all__ = ["why"]

SOURCES = """
- S. Geman, E. Bienenstock, R. Doursat, Neural Networks and the Bias/Variance Dilemma, Neural
  Computation 4, 1992: the two parts, and the classical view that variance grows with the network.
- C. Zhang et al., Understanding Deep Learning Requires Rethinking Generalization, ICLR 2017,
  arXiv 1611.03530: networks that learn random labels by heart.
- D. Arpit et al., A Closer Look at Memorization in Deep Networks, ICML 2017, arXiv 1706.05394: what
  many images have in common is learned before the exceptions.
- M. Belkin et al., Reconciling Modern Machine-Learning Practice and the Classical Bias-Variance
  Trade-Off, PNAS 116, 2019, arXiv 1812.11118: the second descent.
- P. Nakkiran et al., Deep Double Descent, ICLR 2020, arXiv 1912.02292: the same in deep networks,
  most visible with wrong labels.
- Z. Yang et al., Rethinking Bias-Variance Trade-off for Generalization of Neural Networks, ICML
  2020, arXiv 2002.11328: bias falls with the width, variance rises and falls; the estimates used
  here.
"""


def why(results: Results) -> str:
    view = View(results)
    texts = [
        learning_by_heart(view),
        strays(view),
        more_room(view),
        nothing_to_learn_by_heart(view),
        remedies(view),
        f"Sources:\n\n{SOURCES.strip()}",
    ]
    return "\n\n".join(text.strip() for text in texts if text)


def learning_by_heart(view: View) -> str:
    fall = view.fall()
    learned, seen_through = (
        view.means(MAIN, key) for key in ("wrong_learned", "wrong_seen_through")
    )
    first, second = fall[:2]
    grows = learned[second] > learned[first]
    heading = (
        "A wide network has room for exceptions."
        if grows
        else "Wrong labels can be learned by heart."
    )
    return f"""
**{heading}** A network that cannot hold all labels learns what most images of a digit have in
common. A wrong label is an exception to that. With {first} neurons, {percent(learned[first])} of
the wrongly labelled training images are given their wrong label, and {percent(seen_through[first])}
their true digit in spite of it; with {second}, {percent(learned[second])} and
{percent(seen_through[second])}. To the training accuracy a wrong label that was learned counts as a
success. Around each of them, other images of the digit are now taken for the wrong one.

![What is answered for wrongly labelled training images](labels.png)
"""


def strays(view: View) -> str:
    first, second = view.fall()[:2]
    bias, variance = (view.parts(MAIN, key) for key in ("bias", "variance"))
    more, less = variance[second] - variance[first], bias[first] - bias[second]
    if more > max(less, 0):
        verdict = (
            f"From {first} to {second} neurons the variance grows by {more:.3f}, and the squared "
            f"bias {changed(less)}: single networks become worse, because they stray further from "
            "their average, by the accidents of their own images and labels."
        )
    else:
        verdict = (
            f"In this run variance is not what grows most: from {first} to {second} neurons it "
            f"changes by {more:+.3f}, and the squared bias {changed(less)}."
        )
    return f"**What is learned by heart differs from set to set.** {verdict}"


def changed(less: float) -> str:
    return f"falls by {less:.3f}" if less >= 0 else f"grows by {-less:.3f}"


def more_room(view: View) -> str:
    """The second descent, where there is one."""
    further = view.second_descent()
    outputs = view.sizes["set"] * view.measured["classes"]
    where = (
        f"Belkin et al. expect the worst width where the parameters are about as many as the "
        f"outputs to get right, images times digits: {outputs:,} here. The worst network has "
        f"{view.parameters(view.treated()):,}."
    )
    if further is None or further.difference.value >= 0 or not further.is_sure:
        return (
            "**Beyond that, more neurons can help again,** as the sources describe; this run does "
            f"not surely show it. {where}"
        )
    worst, wide = further[:2]
    bias, variance = (view.parts(MAIN, key) for key in ("bias", "variance"))
    less = bias[worst] - bias[wide]
    stray = variance[worst] - variance[wide]
    gain = "the average of the networks" if less > stray else "how much they stray from it"
    return f"""
**Beyond that, less is left to learn by heart.** At {worst} neurons {wrong_labels(view, worst)} of
the wrong labels are learned, at {wide:,} {wrong_labels(view, wide)}. The variance
{changed(stray)} on the way (it is greatest at {view.peak_of_variance():,}), the squared bias
{changed(less)}: what improves is mostly {gain}. A wider network can hold the same labels in more
ways, and training is thought to find the smoother ones among them, so that each exception disturbs
fewer of its neighbours. {where}
"""


def nothing_to_learn_by_heart(view: View) -> str:
    right = [name for name in view.few() if not view.noise(name)]
    texts = []
    for name in right:
        variances = view.parts(name, "variance")
        narrow, wide = min(variances), max(variances)
        course = "falls" if variances[wide] < variances[narrow] else "grows"
        texts.append(
            f"On {view.images(name)}, to learn every label is to learn digits: the variance "
            f"{course} from {variances[narrow]:.3f} at {narrow} neurons to {variances[wide]:.3f} "
            f"at {wide:,}."
        )
    widest = max(view.widths(ALL))
    texts.append(
        f"On {view.images(ALL)}, {widest:,} neurons reach "
        f"{accuracy(view, ALL, widest, 'train')} on them and {accuracy(view, ALL, widest)} "
        "on the validation images. But that is after "
        f"{counted(view.settings['all_epochs'], 'epoch')}; it says nothing of a training that goes "
        "on."
    )
    return f"**Without exceptions there is little to lose.** {' '.join(texts)}"


def remedies(view: View) -> str:
    names = [NONE, *FIVE, "more images", "all five", "all five, weaker"]
    rows = [
        [
            name,
            percent(mean(view.treated_values(name, "wrong_learned"))),
            percent(mean(view.treated_values(name, "right_learned"))),
            accuracy_after(view, name),
        ]
        for name in names
    ]
    columns = ["remedy", "wrong labels learned", "right labels learned", "test"]
    return f"""
**A remedy is to keep the network from learning exceptions.** Weight decay and dropout leave it less
room. Label smoothing asks for no sure answer, so that little is gained by forcing one. An augmented
image is never the same twice, so that it cannot be learned by heart. Early stopping ends while only
what is common has been learned. With more images there are more exceptions for the same neurons.

{table(columns, rows)}

{too_much(view)}

{unsure(view)}
"""


def unsure(view: View) -> str:
    """What label smoothing does to the loss, where it helps the accuracy."""
    gain = view.gain("label smoothing")
    smoothed, plain = (
        mean(view.treated_values(name, "test_loss")) for name in ("label smoothing", NONE)
    )
    if gain.value <= 0 or not gain.is_clear or smoothed <= plain:
        return ""
    return (
        "Label smoothing betters the answers and not the probabilities, which it keeps unsure on "
        f"purpose: its test loss is {smoothed:.2f}, without a remedy it is {plain:.2f}."
    )


def too_much(view: View) -> str:
    gain = view.gain("all five", "all five, weaker")
    learned = percent(mean(view.treated_values("all five", "right_learned")))
    if gain.is_clear and gain.value < 0:
        return (
            "Strengths that are right alone are too much together: with all five, only "
            f"{learned} of the right labels are learned, and the network is too weak."
        )
    return (
        f"All five at full strength were not too much here: {learned} of the right labels are "
        "learned."
    )
