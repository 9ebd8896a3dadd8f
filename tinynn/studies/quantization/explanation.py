"""Why few bits save what they save, and lose what they lose, as far as the results show it."""

from __future__ import annotations

from tinynn.studies.quantization.layers import EMBEDDING, HEAD, KINDS
from tinynn.studies.quantization.outliers import EVERY
from tinynn.studies.quantization.settings import COARSE, EXACT
from tinynn.studies.quantization.view import READ, WRITTEN, View
from tinynn.studies.quantization.words import megabytes, millinats, nats
from tinynn.studies.shared.report import enumeration, percent
from tinynn.studies.shared.study import Results

__all__ = ["why"]

SOURCES = """
- T. Dettmers et al., "LLM.int8(): 8-bit matrix multiplication for transformers at scale", NeurIPS
  2022, arXiv:2208.07339: a few columns of the inputs hold outliers, and are kept exact.
- G. Xiao et al., "SmoothQuant", ICML 2023, arXiv:2211.10438: inputs are harder to round than
  weights, and what can be done about it.
- M. Sun et al., "Massive activations in large language models", COLM 2024, arXiv:2402.17762: the
  largest numbers of all, which a first token has in a few places.
- T. Dettmers, L. Zettlemoyer, "The case for 4-bit precision", ICML 2023, arXiv:2212.09720: at equal
  memory, a larger model of fewer bits.
- G. Gerganov et al., llama.cpp, `ggml-quants.c`: the blocks of 32 columns that all formats of whole
  numbers but `int8` are made of.
"""

ROUNDED = ("int8", "int4")


def why(results: Results) -> str:
    view = View(results)
    parts = [of_memory(view), of_errors(view), of_layers(view), of_outliers(view)]
    return "\n\n".join([*parts, f"### Sources\n\n{SOURCES.strip()}"])


def of_memory(view: View) -> str:
    told = [
        f"{view.read_a_second(f) / 1e9:.1f} GB a second in `{f}`" for f in (EXACT, *ROUNDED, COARSE)
    ]
    fewest = min(view.rounded, key=view.bytes)
    smaller = view.bytes(EXACT) / view.bytes(fewest)
    speedup = view.speedup(WRITTEN, fewest)
    if view.speedup(WRITTEN, fewest) > view.speedup(READ, fewest):
        compared = "So writing gains more from few bits than reading a prompt does"
    else:
        compared = "All the same, writing has gained no more from few bits than reading a prompt"
    return f"""### Each token reads all weights

To write a token the model multiplies one vector by every matrix, and so reads each weight once to
use it once. That is {enumeration(told)}, if nothing else is counted. A weight of fewer bits comes
sooner: `{fewest}` takes {smaller:.1f} times fewer bytes and writes {speedup:.1f} times as fast;
what a token costs beside its weights stays. A prompt of {view.settings[READ]:,} tokens uses each
weight that it reads as many times, and takes the time of arithmetic. {compared}
({speedup:.2f} times against {view.speedup(READ, fewest):.2f} in `{fewest}`)."""


def of_errors(view: View) -> str:
    errors = {kind: view.of_layers(kind, "error") for kind in KINDS}
    low = min(min(values) for values in errors.values())
    high = max(max(values) for values in errors.values())
    wide = view.widths[-1]
    return f"""### What a coarse weight does

A weight that is rounded is off by up to half a scale, one up, one down, and in a sum of hundreds of
products such errors cancel in part. In `{COARSE}` what a layer gives is off by
{percent(low, 2)} to {percent(high, 2)}, both in squares. All layers together
move the distributions by {millinats(view.hurt_by(EVERY))}; their single effects add up to
{millinats(sum_of_single(view))}.

A larger network of fewer bits has more numbers, each less exact. That of width {wide} in `{COARSE}`
takes {megabytes(view.network_bytes(wide, COARSE))} instead of
{megabytes(view.network_bytes(wide, EXACT))}, and its loss rises by
{nats(view.network_rise(wide, COARSE))}."""


def sum_of_single(view: View) -> float:
    return sum(sum(view.of_layers(kind, "divergence")) for kind in KINDS)


def of_layers(view: View) -> str:
    kind, depth, value = view.worst_layers(1)[0]
    embedding, head = view.end(EMBEDDING), view.end(HEAD)
    larger, smaller = (HEAD, EMBEDDING) if head > embedding else (EMBEDDING, HEAD)
    return f"""### Where it hurts

The worst single layer is *{kind}* at depth {depth + 1} of {view.depths}, with
{millinats(value)}. The table of tokens is used twice: as {larger} its rounding costs
{millinats(max(head, embedding))}, as {smaller} {millinats(min(head, embedding))}.
As {EMBEDDING} one row of it is looked up, and its errors go through all layers; as {HEAD} every row
is multiplied, and each token of the vocabulary gets an error of its own."""


def of_outliers(view: View) -> str:
    kind, depth, height = view.highest_peak()
    back = view.given_back(EVERY, "inputs", "token, but for the largest", "token")
    grouped = view.given_back(EVERY, "inputs", "group", "token")
    return f"""### What outliers do

The largest number that comes to a layer is {height:.0f} times the root mean square, at
*{kind}* of layer {depth + 1}. A scale that has to reach so far leaves few steps to the others. For
inputs with one scale a token, the largest columns kept exact make the divergence
{percent(abs(back), 0)} {"smaller" if back > 0 else "larger"}; scales for groups of columns make it
{percent(abs(grouped), 0)} {"smaller" if grouped > 0 else "larger"}: an outlier then spoils the
steps of its own group only. That is how layers round their inputs here. Weights are rounded in such
groups as well, in all formats but `int8`, which has a scale a row."""
