"""What the report of the study `where-time-goes` says of its results."""

from __future__ import annotations

from tinynn.studies.shared.report import Difference, counted, enumeration, percent, table
from tinynn.studies.shared.study import Results
from tinynn.studies.where_time_goes.figures import LEAST
from tinynn.studies.where_time_goes.steps import (
    ELEMENTWISE,
    ENGINES,
    MEMORY,
    OPTIMIZER,
    PARTS,
    PRODUCTS,
    PYTHON,
)
from tinynn.studies.where_time_goes.view import CallTime, View

__all__ = ["answer", "in_words", "microseconds", "number", "ran", "seen"]

# What a part must be of a step to be spoken of.
NOTABLE = 0.03
# Parts as they are called in tables.
SHORT = {ELEMENTWISE: "elementwise", MEMORY: "memory", PYTHON: "Python"}


def answer(results: Results) -> str:
    view = View(results)
    return "\n\n".join(
        [what_products_take(view), what_compiling_saves(view), memory_in_short(view)]
    )


# ---- the products


def what_products_take(view: View) -> str:
    network = view.networks()[0]
    small, large = view.ends(network)
    first, last = (view.share(network, batch, "eager", PRODUCTS) for batch in (small, large))
    change = view.change(network, "eager", PRODUCTS)
    if change.is_clear and change.value > 0:
        verdict = "so what else a step takes is a matter of small batches"
    elif change.is_clear:
        verdict = "so larger batches do not get rid of what else a step takes"
    else:
        verdict = "so the number of images makes no clear difference to that"
    return (
        f"Matrix products are {in_words(first)} of an eager step of the {network} with "
        f"{counted(int(small), 'image')} and {in_words(last)} with "
        f"{counted(int(large), 'image')}: {verdict}. {what_is_next(view, network)}"
    )


def what_is_next(view: View, network: str) -> str:
    """The largest part besides the products."""
    named = {
        batch: view.largest_besides(network, batch, "eager", PRODUCTS)
        for batch in view.ends(network)
    }
    shares = {
        batch: percent(view.share(network, batch, "eager", part).value)
        for batch, part in named.items()
    }
    if len(set(named.values())) == 1:
        told = [f"{share} with {number(batch)}" for batch, share in shares.items()]
        return f"The largest other part is {named[view.ends(network)[0]]}: {enumeration(told)}."
    told = [f"{named[batch]} with {number(batch)} ({share})" for batch, share in shares.items()]
    return f"The largest other part is {enumeration(told)}."


# ---- what compiling saves


def what_compiling_saves(view: View) -> str:
    told = []
    for network in view.networks():
        cases = [
            f"{saving_in_words(view.saving(network, batch))} with {number(batch)}"
            for batch in dict.fromkeys(view.ends(network))
        ]
        told.append(f"of a step of the {network} {enumeration(cases)}")
    return f"What `tn.compile` saves, by images: {'; '.join(told)}. {what_is_saved(view)}"


def saving_in_words(saving: Difference) -> str:
    """
    >>> saving_in_words(Difference(0.25, 0.01)), saving_in_words(Difference(0.0, 0.01))
    ('25.0 ± 1.0%', 'nothing clear (0.0 ± 1.0%)')
    >>> saving_in_words(Difference(-0.25, 0.01))
    'less than nothing (-25.0 ± 1.0%)'
    """
    if saving.is_clear and saving.value > 0:
        return in_words(saving)
    return f"{'less than nothing' if saving.is_clear else 'nothing clear'} ({in_words(saving)})"


def what_is_saved(view: View) -> str:
    """Of what the largest saving consists."""
    saving = [step for step in view.steps() if is_gain(view.saving(*step))]
    if not saving:
        return "So there is nothing to be told of where a saving comes from."
    network, batch = max(saving, key=lambda step: view.saving(*step).value)
    savings = {part: view.saved(network, batch, part) for part in (PYTHON, MEMORY)}
    told = [f"{in_words(its)} {part}" for part, its in savings.items() if is_gain(its)]
    if not told:
        return "No single part of what is saved is clear."
    return (
        f"It saves most in a step of the {network} with {counted(int(batch), 'image')}; of that "
        f"step it does without {enumeration(told)}."
    )


def is_gain(difference: Difference) -> bool:
    return difference.is_clear and difference.value > 0


# ---- memory


def memory_in_short(view: View) -> str:
    network, batch = view.hungriest()
    share = view.share(network, batch, "eager", MEMORY)
    if not is_gain(share) or share.value < NOTABLE:
        return (
            "Fresh memory for results is no part to speak of in any step: at most "
            f"{in_words(share)}, in steps of the {network} with {counted(int(batch), 'image')}."
        )
    faults = view.faults(network, batch)
    text = (
        f"Fresh memory for results is up to {in_words(share)} of an eager step: of the {network} "
        f"with {counted(int(batch), 'image')}"
    )
    if faults >= 1:
        return f"{text}, for which the system has to find {faults:,.0f} pages each time."
    return f"{text}, although the system has to find no new page for it."


# ---- what was run


def ran(results: Results) -> str:
    view = View(results)
    settings, layers = view.settings, view.measured["layers"]
    watching = max(
        view.value(*step, "watching") / view.step(*step, "compiled").value for step in view.steps()
    )
    return f"""
One step (forward, backward, SGD) of the MLP `{layers["MLP"]}` with
{enumeration([str(n) for n in settings["mlp_batches"]])} images, and of the CNN `{layers["CNN"]}`
with {enumeration([str(n) for n in settings["cnn_batches"]])}, on one thread, without loading the
images. It is called in a loop: as it stands ("eager"), and after `tn.compile`, whose plan is a list
of array calls without Python between them. The parts:

- **{PRODUCTS}** (of matrices, or in a convolution of images with filters), **{ELEMENTWISE}** (bias,
  activation, pooling, loss, sums, copies) and **{OPTIMIZER}**: the calls of the plan. Each is timed
  where it stands, while the compiled step runs, with one look at the clock behind it, which is
  taken off again. Watched so, a step took up to {percent(watching)} longer. The eager step makes
  the same calls, and they are taken to cost it the same.
- **{MEMORY}**: all calls of the plan are made once with new arrays for their results and once with
  arrays that stay; the difference is what asking for memory costs. The eager step is also measured
  alone, in a process that has done nothing else. Where it has page faults there, it is that step
  which is taken apart, and what it takes longer than where malloc keeps the memory that is given
  back is added: it is the time in which the system finds memory anew.
- **{PYTHON}**: the rest. Of the compiled step it is what lies before and behind the calls; of the
  eager step what is left of it, with the few copies of gradients that a plan does without.
- **The bare products**, to compare with: the products alone, again and again on arrays that stay,
  each in memory of its own.

Each candidate is called for some milliseconds and then timed for as long; they take turns, and the
median of at least {counted(settings["turns"], "turn")} counts. All of it is done
{counted(settings["sets"], "time")} for each step, in a new process each time with no other beside
it; means of these and their standard errors are given.
"""


# ---- what was seen


def seen(results: Results) -> str:
    view = View(results)
    return "\n\n".join([the_parts(view), the_calls(view)])


def the_parts(view: View) -> str:
    texts = [
        f"{savings(view, network)}\n\n{parts_table(view, network)}" for network in view.networks()
    ]
    return f"""### The parts of a step

![The parts of a step, by network and number of images](time.png)

{joined(texts)}

Microseconds in a step of so many images; the standard error of a part is at most
{percent(largest_error(view))} of its step. Multiple: the whole step by its bare products. Faults:
how often the system had to find memory for a step (page faults)."""


def the_calls(view: View) -> str:
    texts = [calls_table(view, network) for network in view.networks()]
    return f"""### Call by call

![The calls of a compiled step, by network](calls.png)

{joined(texts)}

GB/s: the bytes of all arrays that a call reads or writes, by its time."""


def joined(texts: list[str]) -> str:
    return "\n\n".join(texts)


def parts_table(view: View, network: str) -> str:
    rows = []
    for batch in view.batches(network):
        for engine in ENGINES:
            seconds = [view.part(network, batch, engine, part).value for part in PARTS]
            rows.append(
                [
                    f"{number(batch)} {engine}",
                    *map(figures_of, (view.step(network, batch, engine).value, *seconds)),
                    f"{view.over_products(network, batch, engine).value:.2f}",
                    f"{view.faults(network, batch):,.0f}" if engine == "eager" else "",
                ]
            )
    columns = [f"{network}, µs", "step", *(SHORT.get(part, part) for part in PARTS)]
    return table([*columns, "multiple", "faults"], rows)


def largest_error(view: View) -> float:
    """The largest standard error of a part, as a share of the step."""
    return max(
        view.part(network, batch, engine, part).error / view.step(network, batch, engine).value
        for network, batch in view.steps()
        for engine in ENGINES
        for part in PARTS
    )


def savings(view: View, network: str) -> str:
    told = [
        f"{saving_in_words(view.saving(network, batch))} with {number(batch)}"
        for batch in view.batches(network)
    ]
    return (
        f"Of an eager step of the {network} `tn.compile` saves, by the number of images: "
        f"{enumeration(told)}."
    )


def calls_table(view: View, network: str) -> str:
    calls = view.calls(network)
    large = [call for call in calls if call.share >= LEAST]
    small = [call for call in calls if call.share < LEAST]
    rows = [call_row(call) for call in large]
    if small:
        total = sum(call.seconds for call in small)
        rows.append(["", counted(len(small), "other call"), "", figures_of(total), ""])
    columns = ["call", "operation", "function", "µs", "GB/s"]
    batch = view.shown
    return f"""The calls of a compiled step of the {network} with {counted(int(batch), "image")}
that take at least {percent(LEAST, 0)} of it, and all of them as `plan.describe()` gives them:

{table(columns, rows)}

```
{view.plan(network, batch)["description"]}
```"""


def call_row(call: CallTime) -> list[str]:
    rate = f"{call.nbytes / call.seconds / 1e9:#.3g}" if call.seconds > 0 else "-"
    return [str(call.number), call.operation, call.name, figures_of(call.seconds), rate]


# ---- words for numbers


def number(batch: str) -> str:
    """
    >>> number("1024")
    '1,024'
    """
    return f"{int(batch):,}"


def microseconds(seconds: float) -> str:
    """
    >>> microseconds(1.25e-05)
    '12.5 µs'
    """
    return f"{figures_of(seconds)} µs"


def figures_of(seconds: float) -> str:
    """Seconds in microseconds, with three figures at least.

    >>> figures_of(0.0012), figures_of(3e-05), figures_of(0.0)
    ('1,200', '30.0', '0')
    """
    value = 1e6 * seconds
    return f"{value:#.3g}" if 0 < abs(value) < 100 else f"{value:,.0f}"


def in_words(share: Difference) -> str:
    """
    >>> in_words(Difference(0.025, 0.004))
    '2.5 ± 0.4%'
    """
    return f"{100 * share.value:.1f} ± {100 * share.error:.1f}%"
