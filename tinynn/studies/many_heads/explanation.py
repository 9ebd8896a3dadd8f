"""Why what the study `many-heads` saw is so."""

from __future__ import annotations

from tinynn.studies.many_heads.findings import heads_of, masses_of, microseconds
from tinynn.studies.many_heads.timings import KINDS
from tinynn.studies.many_heads.view import LINEAR, MLP, View
from tinynn.studies.shared.report import counted, enumeration
from tinynn.studies.shared.study import Results

__all__ = ["why"]

SOURCES = """
- A. Vaswani et al., "Attention is all you need", NIPS 2017, arXiv:1706.03762: heads, and the remark
  that with a single one "averaging inhibits" attending to several places.
- P. Michel, O. Levy, G. Neubig, "Are sixteen heads really better than one?", NeurIPS 2019,
  arXiv:1905.10650: in trained networks many heads can be taken out.
- S. Bhojanapalli et al., "Low-rank bottleneck in multi-head attention models", ICML 2020,
  arXiv:2002.07028: what is lost where heads become too narrow.
- N. Shazeer, "Fast transformer decoding: one write-head is all you need", 2019, arXiv:1911.02150:
  heads of queries that share keys and values.
"""


def why(results: Results) -> str:
    view = View(results)
    parts = [of_one_softmax(view), of_unequal_weights(view), of_time(view)]
    return "\n\n".join([*parts, f"### Sources\n\n{SOURCES.strip()}"])


def of_one_softmax(view: View) -> str:
    masses = view.mass(LINEAR, view.enough)
    largest = [f"{max(row):.2f}" for row in masses]
    width = view.settings["width"]
    return f"""### One softmax is one mean

A head gives each place a weight, and the weights of a query sum to one; the result is one mean of
the values. Whoever needs {view.relations} values and gets one mean of them has their sum, and not
which belongs to which: the colours come out, the relations they answer do not. A head of its own
for each relation has a softmax of its own, and a part of the result of its own: in the training
shown, the greatest weight that each of {heads_of(view, view.enough)} gives to the place of a
relation is {enumeration(largest)}.

That a head is narrow costs little here: to find a name among
{view.settings["persons"]} takes few numbers, so that {width // view.enough} are enough where
{width} were used. Where keys must be told apart more finely, narrow heads lose."""


def of_unequal_weights(view: View) -> str:
    text = """### What fewer heads can do all the same

A mean with unequal weights still tells which value had which weight, if what comes after can take
it apart: an MLP can, a linear layer cannot."""
    helped = view.helped_by_mlp()
    if not helped:
        return f"{text} None of the trainings told of has clearly found that way."
    heads = helped[0]
    return f"""{text} In the trainings with {heads_of(view, heads)} and an MLP a head gave the
places {masses_of(view, MLP, heads)} of its weight, from the greatest to the least. It is a way
around: the weights must be kept apart exactly, and the smaller one is, the more of what it carries
is lost."""


def of_time(view: View) -> str:
    heads = view.timed_heads(KINDS[0])
    most, least = max(heads), min(heads)
    spent = [
        f"{microseconds(view.seconds(kind, least))} and {microseconds(view.seconds(kind, most))} "
        f"({kind})"
        for kind in KINDS
    ]
    tokens = view.settings["decode_context"]
    return f"""### What heads cost

The products are the same: {counted(most, "head")} have as many times fewer numbers in a vector as
there are more of them. But each head has scores of its own, and each score an exponential and a
place in a sum: {most / least:g} times as many of them. For one new token that is {most * tokens:,}
exponentials instead of {least * tokens:,}, beside the same bytes of keys and values. With
{heads_of(view, least)} and with {heads_of(view, most)} the measured times are
{enumeration(spent)}."""
