"""What the report of the study `quantization` says of its results, in short."""

from __future__ import annotations

from tinynn.studies.quantization.layers import HEAD, KINDS
from tinynn.studies.quantization.outliers import EVERY
from tinynn.studies.quantization.settings import COARSE, EXACT, TRAINED
from tinynn.studies.quantization.tables import (
    formats_table,
    inputs_table,
    kinds_table,
    networks_table,
    weights_table,
)
from tinynn.studies.quantization.view import CAUSES, ENDS, READ, WRITTEN, View
from tinynn.studies.quantization.words import megabytes, millinats, nats, rise
from tinynn.studies.shared.report import capital, counted, enumeration, percent
from tinynn.studies.shared.study import Results

__all__ = ["answer", "ran", "seen"]

# A perplexity that rises by no more is called kept.
KEPT = 0.01
EIGHT, HALF = "int8", "fp16"
# A rank correlation from which a cause is said to tell which layers suffer.
TELLING = 0.5
# How many layers are told of.
WORST = 3


def answer(results: Results) -> str:
    view = View(results)
    parts = [what_is_lost(view), what_it_saves(view), whether_larger(view), which_suffer(view)]
    return "\n\n".join([*parts, what_outliers_do(view)])


# ---- what is lost, and saved


def what_is_lost(view: View) -> str:
    kept = [format for format in view.rounded if view.rise(format).value <= KEPT]
    others = [format for format in view.rounded if format not in kept]
    text = f"{capital(view.subject['title'])} keeps its perplexity of {view.perplexity(EXACT):.2f}"
    if kept:
        text += f" within {percent(KEPT, 0)} in {enumeration([quoted(f) for f in kept])}."
    else:
        text += f" within {percent(KEPT, 0)} in none of the formats."
    if others:
        told = [f"{rise(view.rise(format))} in {quoted(format)}" for format in others]
        text += f" It rises by {enumeration(told)}."
    return f"{text} {parts_of_eight(view)}"


def parts_of_eight(view: View) -> str:
    """Whether the loss of 8 bits comes of weights or of inputs."""
    whole, weights = view.rise(EIGHT), view.rise(EIGHT, exact_inputs=True)
    inputs = view.rise_by_inputs(EIGHT)
    told = (
        f"In {quoted(EIGHT)} it rises by {rise(whole)}: {rise(weights)} with weights rounded and "
        f"inputs of layers exact, {rise(inputs)} by rounding these, too"
    )
    clear = {"the weights": weights.is_clear, "the inputs": inputs.is_clear}
    which = [name for name, is_clear in clear.items() if is_clear]
    if not which:
        return f"{told}; neither is clear."
    return f"{told}; clear is what comes of {enumeration(which)}."


def what_it_saves(view: View) -> str:
    told = [
        f"{megabytes(view.bytes(f))} in {quoted(f)} ({view.rate(WRITTEN, f):.1f} tokens a second)"
        for f in (EXACT, HALF, EIGHT, COARSE)
    ]
    fastest = max(view.rounded, key=lambda format: view.speedup(WRITTEN, format))
    return (
        f"The weights take {enumeration(told)}. Writing is fastest in {quoted(fastest)}, "
        f"{view.speedup(WRITTEN, fastest):.2f} times as fast as in {quoted(EXACT)}; a prompt is "
        f"read {view.speedup(READ, fastest):.2f} times as fast."
    )


# ---- a larger one in the same memory


def whether_larger(view: View) -> str:
    return " ".join(against(view, format) for format in (EXACT, HALF))


def against(view: View, format: str) -> str:
    """The narrower network in a format that costs it nothing, and the wider one in no more room."""
    narrow, wide = view.widths[0], view.widths[-1]
    room = megabytes(view.network_bytes(narrow, format))
    start = f"In the {room} of a network of width {narrow} in {quoted(format)}"
    rival = view.rival(format)
    if rival is None:
        return f"{start} one of width {wide} fits in no format."
    gain = view.gain(format, rival)
    size = megabytes(view.network_bytes(wide, rival))
    told = f"{start} one of width {wide} fits in {quoted(rival)} ({size}), and its loss is"
    if not gain.is_clear:
        return f"{told} not clearly another ({nats(gain)} lower)."
    lost = view.network_rise(wide, rival)
    verdict = "lower" if gain.value > 0 else "higher"
    return (
        f"{told} {nats(gain._replace(value=abs(gain.value)))} {verdict}, of which rounding has "
        f"taken {nats(lost)} away."
    )


# ---- layers


def which_suffer(view: View) -> str:
    kind = view.worst_kind()
    worst = view.worst_layers(WORST)
    listed = [f"{name} of layer {depth + 1} ({millinats(v)})" for name, depth, v in worst]
    ends = [f"{millinats(view.end(name))} as {name}" for name in ENDS]
    return (
        f"Of the kinds of layers *{kind}* suffers most from {quoted(COARSE)}: all of them made "
        f"coarse move the next-token distributions by {millinats(view.hurt_by(kind))}, all kinds "
        f"together by {millinats(view.hurt_by(EVERY))}. The worst single layers are "
        f"{enumeration(listed)}; these have {percent(view.share_of_worst(WORST), 0)} of what all "
        f"single layers lose. The table of tokens costs {enumeration(ends)}."
    )


def what_outliers_do(view: View) -> str:
    return f"{what_tells(view)} {of_coarse_weights(view)} {of_rounded_inputs(view)}"


def what_tells(view: View) -> str:
    """Which of the causes go with the harm, within the kind that suffers most, and in others."""
    worst = view.worst_kind()
    found = {cause: view.order_kept(cause, worst) for cause in CAUSES}
    told = [f"{found[cause]:+.2f} for the {words}" for cause, words in CAUSES.items()]
    telling = [CAUSES[cause] for cause, value in found.items() if value >= TELLING]
    if telling:
        start = f"Which of the *{worst}* layers suffer goes with the {enumeration(telling)}"
    else:
        start = f"Which of the *{worst}* layers suffer goes with nothing that was looked at"
    peaks = [f"{view.order_kept('input_peak', k):+.2f} in *{k}*" for k in KINDS if k != worst]
    return (
        f"{start}: the rank correlation is {enumeration(told)}. For the peak of the input it is "
        f"{enumeration(peaks)}."
    )


def of_coarse_weights(view: View) -> str:
    back = view.given_back(EVERY, "weights", "largest inputs", "none")
    chance = view.given_back(EVERY, "weights", "at random", "none")
    share = percent(view.settings["kept"], 0)
    verdict = "most of it" if back > 1 / 2 else "a part of it" if back > 0 else "nothing of it"
    return (
        f"With the {share} of columns exact whose inputs are largest, coarse weights lose "
        f"{percent(abs(back), 0)} {'less' if back > 0 else 'more'} (as many columns at random: "
        f"{percent(abs(chance), 0)} {'less' if chance > 0 else 'more'}): outliers kept exact give "
        f"{verdict} back."
    )


def of_rounded_inputs(view: View) -> str:
    one = view.divergence(EVERY, "inputs", "token")
    ways = {
        "with the largest columns kept exact": "token, but for the largest",
        "with a scale for each group of columns": "group",
    }
    told = [
        f"{millinats(view.divergence(EVERY, 'inputs', way))} {words}" for words, way in ways.items()
    ]
    return (
        f"Inputs rounded to eight bits with one scale a token cost {millinats(one)}, "
        f"{enumeration(told)}."
    )


def quoted(format: str) -> str:
    return f"`{format}`"


# ---- what was run


def ran(results: Results) -> str:
    view = View(results)
    return "\n\n".join([of_subject(view), of_networks(view), of_parts(view)])


def of_subject(view: View) -> str:
    settings, subject = view.settings, view.subject
    kinds = [f"{number:,} in `{kind}`" for kind, number in subject["kinds"].items()]
    origin = ""
    if settings["model"] != TRAINED:
        origin = (
            f" Its file is quantized itself: of its matrices {enumeration(kinds)} are stored. "
            f"`{EXACT}` are the very numbers that these mean, as floats; what was lost before is "
            "not seen here. A format that has the same numbers loses nothing where another would."
        )
    return (
        f"{capital(subject['title'])}, {subject['layers']} layers and {subject['parameters']:,} "
        f"parameters, foretells {subject['tokens']:,} tokens in "
        f"{counted(settings['windows'], 'passage')} of a text, each from its beginning on. "
        f"Perplexity is the exponential of the mean loss; a rise is told with its standard error "
        f"over passages, each compared with itself.{origin} With the whole numbers of "
        f"{enumeration([quoted(f) for f in view.with_inputs])} the inputs of layers are rounded to "
        f"eight bits as well, which is how they are computed. Times are medians of "
        f"{counted(settings['rounds'], 'round')}, the formats in turn, on "
        f"{counted(view.measured['speed']['threads'], 'thread')}: a prompt of "
        f"{settings['prompt']:,} tokens read, and {settings['written']:,} written behind it."
    )


def of_networks(view: View) -> str:
    settings = view.settings
    widths = enumeration([str(width) for width in view.widths])
    return (
        f"Two networks of {counted(settings['layers'], 'layer')}, of width {widths}, learn to "
        f"foretell characters: {counted(settings['steps'], 'step')} of {settings['batch_size']} "
        f"pieces of {settings['context']:,}, {counted(settings['runs'], 'training')} of each. They "
        "are then rounded, and judged by the last tenth of the text, which they have not seen."
    )


def of_parts(view: View) -> str:
    settings = view.settings
    return (
        f"Then one part of the model alone is rounded to `{COARSE}` and the rest left exact: what "
        "follows from it is the divergence (Kullback-Leibler) of the distributions of the next "
        f"token from the exact ones, the mean over {settings['probed']:,} tokens. A peak is the "
        "largest number as a multiple of the root mean square, of a layer's input, or of the "
        f"weights of a group, the mean over groups. Outliers are looked for in another passage "
        f"than that which is judged by; {percent(settings['kept'], 0)} of the columns are kept."
    )


# ---- what was seen


def seen(results: Results) -> str:
    view = View(results)
    return "\n\n".join(
        [
            formats_table(view),
            "![Perplexity, memory and speed by format](formats.png)",
            networks_table(view),
            "![Loss by memory, for two sizes](sizes.png)",
            kinds_table(view),
            f"![Harm by kind and depth, and by {HEAD}](layers.png)",
            "![Harm against what may cause it](causes.png)",
            weights_table(view),
            inputs_table(view),
            "![What is lost with outliers kept exact](outliers.png)",
        ]
    )
