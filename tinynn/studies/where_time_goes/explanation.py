"""Why the time of a step goes where it goes, as far as the results show it."""

from __future__ import annotations

from tinynn.studies.shared.report import counted, enumeration, percent
from tinynn.studies.shared.study import Results
from tinynn.studies.where_time_goes.findings import microseconds, number
from tinynn.studies.where_time_goes.steps import OPTIMIZER, PYTHON
from tinynn.studies.where_time_goes.view import View

__all__ = ["why"]

SOURCES = """
- K. Goto, R. van de Geijn, "Anatomy of high-performance matrix multiplication", ACM Transactions on
  Mathematical Software 34, 2008: why a product needs enough rows to be fast.
- `man mallopt`: when malloc gives memory back to the system (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD),
  and that both grow with the largest block that was freed.
- Y. Pisarchyk, J. Lee, "Efficient memory management for deep neural net inference", 2020,
  arXiv:2001.03288: results that are not needed at one time share memory, as in a plan.
"""


def why(results: Results) -> str:
    view = View(results)
    texts = [of_python(view), of_products(view), of_the_optimizer(view), of_memory(view), ADVICE]
    return "\n\n".join(text.strip() for text in (*texts, f"Sources:\n\n{SOURCES.strip()}"))


ADVICE = """
**For a step of your own** `with tn.profile() as profile:` around it gives a table of its
operations, `profile.save("trace.json")` a picture of them in time; `print(plan.describe())` shows
what a compiled step does.
"""


def of_python(view: View) -> str:
    """What Python takes, whatever the number of images, and what becomes of it in cold caches."""
    network = view.networks()[0]
    small, large = view.ends(network)
    eager = [view.part(network, batch, "eager", PYTHON).value for batch in (small, large)]
    compiled = [view.part(network, batch, "compiled", PYTHON).value for batch in (small, large)]
    hollow = [view.value(network, batch, "hollow") for batch in (small, large)]
    images = int(large) / int(small)
    if eager[1] < images * eager[0] / 2:
        start = (
            "**Python is paid by the step, not by the image.** Its part of an eager step of the "
            f"{network} grows from {microseconds(eager[0])} to {microseconds(eager[1])} while the "
            f"images become {images:g} times as many"
        )
    else:
        start = (
            "**Python is not paid by the step alone.** In this run its part of an eager step of "
            f"the {network} grows from {microseconds(eager[0])} to {microseconds(eager[1])} while "
            f"the images become {images:g} times as many"
        )
    text = f"{start}; of a compiled step, from {enumeration_of(compiled)}."
    if compiled[1] > 2 * hollow[1]:
        return (
            f"{text} That it grows at all is for want of cache: with its calls left out, the "
            f"compiled step of {counted(int(large), 'image')} takes {microseconds(hollow[1])}, "
            f"not {microseconds(compiled[1])}. What the calls read and write has driven out of "
            "the caches what Python needs."
        )
    return (
        f"{text} With its calls left out, the compiled step of {counted(int(large), 'image')} "
        f"takes {microseconds(hollow[1])}: the calls hardly get in Python's way."
    )


def enumeration_of(pair: list[float]) -> str:
    return f"{microseconds(pair[0])} to {microseconds(pair[1])}"


def of_products(view: View) -> str:
    told = []
    for network in view.networks():
        batches = [batch for batch in view.batches(network) if view.rate(network, batch)]
        rates = {batch: view.rate(network, batch) or 0.0 for batch in batches}
        if len(rates) > 1:
            cases = [f"{rate / 1e9:.1f} with {number(b)}" for b, rate in rates.items()]
            first, last = rates[batches[0]], rates[batches[-1]]
            told.append(
                f"""
**Products of {"few rows are slower" if last > 1.1 * first else "few rows are as fast as others"}.**
The bare products of the {network} do so many billion multiplications, each with its addition, in a
second, by the number of images: {enumeration(cases)}. {of_the_gain(first, last)}
"""
            )
    return "\n\n".join(text.strip() for text in told)


def of_the_gain(first: float, last: float) -> str:
    if last > 1.1 * first:
        return (
            "A matrix of weights is read once for all images of a step; with few of them it is "
            "read for little work. So a part of what small batches cost is in the products."
        )
    return "So what small batches cost is not in the products."


def of_the_optimizer(view: View) -> str:
    network = view.networks()[0]
    small, large = view.ends(network)
    times = [view.part(network, batch, "compiled", OPTIMIZER).value for batch in (small, large)]
    shares = [view.share(network, batch, "compiled", OPTIMIZER).value for batch in (small, large)]
    start = (
        "**The optimizer's work is the same for any number of images.** It takes "
        if times[1] < int(large) / int(small) * times[0] / 2
        else "**The optimizer took longer the more images there were**, in this run: "
    )
    return (
        f"{start}{enumeration_of(times)} of a compiled step of the {network}, which is "
        f"{percent(shares[0])} of it with {counted(int(small), 'image')} and {percent(shares[1])} "
        f"with {counted(int(large), 'image')}."
    )


def of_memory(view: View) -> str:
    found = [step for step in view.steps() if view.faults(*step) >= 1]
    if not found:
        return (
            "**Malloc kept the memory of every step** once it had been given back, so that the "
            "system had to find none anew, not even in a new process. Then new arrays are cheap."
        )
    network, batch = max(found, key=lambda step: view.faults(*step))
    faults = view.faults(network, batch)
    alone, kept = view.step(network, batch, "eager").value, view.value(network, batch, "eager")
    text = f"""
**Memory that is given back to the system has to be found again.** In a new process an eager step of
the {network} with {counted(int(batch), "image")} has {faults:,.0f} page faults: malloc returns the
memory of its results at the end of each step, and for each page the system stops the program and
fills it with zeros. """
    if alone > kept:
        text += (
            f"That makes {microseconds((alone - kept) / faults)} a page. After one array of "
            f"{view.measured['given_back_bytes'] / 1e6:.0f} MB had been freed, malloc kept the "
            f"memory: the step took {microseconds(kept)} instead of {microseconds(alone)}. So the "
            "same step may be fast or slow, by what the program did before. A plan has its memory "
            "laid out once, and is spared this."
        )
    else:
        text += "But that took no time to speak of in this run."
    return text
