"""Why a cache saves what it saves, as far as the results show it."""

from __future__ import annotations

from tinynn.studies.kv_cache.findings import power, size, time
from tinynn.studies.kv_cache.view import View
from tinynn.studies.kv_cache.ways import CACHED, RECOMPUTED, WINDOWED
from tinynn.studies.shared.report import counted
from tinynn.studies.shared.study import Results

__all__ = ["why"]

SOURCES = """
- A. Vaswani et al., "Attention is all you need", NIPS 2017, arXiv:1706.03762: attention that sees
  what came before, and nothing of what comes after.
- R. Pope et al., "Efficiently scaling transformer inference", 2022, arXiv:2211.05102: what keys and
  values that are kept cost in memory and in reading.
- W. Kwon et al., "Efficient memory management for large language model serving with
  PagedAttention", SOSP 2023, arXiv:2309.06180: caches in blocks.
- G. Xiao et al., "Efficient streaming language models with attention sinks", ICLR 2024,
  arXiv:2309.17453: why a window keeps the first words.
"""


def why(results: Results) -> str:
    view = View(results)
    parts = [of_what_stays(view), of_growth(view), of_memory(view), of_the_window(view)]
    return "\n\n".join([*parts, f"### Sources\n\n{SOURCES.strip()}"])


def of_what_stays(view: View) -> str:
    return f"""### What has been read does not change

A word sees those before it, and not those after. So nothing that the network has computed for a
word changes when another follows: its key and its value in each layer are the same in every later
step. That is why the cache may keep them, and why the logits with it and without are the same up to
rounding (here to {view.apart(CACHED):.1e}): it is the same sum, taken once."""


def of_growth(view: View) -> str:
    first, last = view.lengths[0], view.lengths[-1]
    plain, cached = view.growth(RECOMPUTED), view.growth(CACHED)
    grown = view.seconds(CACHED, last) / view.seconds(CACHED, first)
    return f"""### How the time grows

Without a cache the next word takes a pass of the network for each word of the text, and a score for
each pair of words: a part that grows with the length, and one that grows with its square. Measured
is a power of {power(plain)}. With a cache it takes one pass, and one score for each word before it:
a part that stays, and one that grows with the length. Measured is a power of {power(cached)}; while
the text becomes {last / first:,.0f} times as long, a word comes to take {grown:.2f} times as long
({time(view.seconds(CACHED, first))} to {time(view.seconds(CACHED, last))}){of_calls(grown)}"""


def of_calls(grown: float) -> str:
    if grown < 2:
        return (
            ": in a network as small as this one most of it is what calls cost, whatever they "
            "compute."
        )
    return ": reading the keys and values has become the greater part of it."


def of_memory(view: View) -> str:
    settings, last = view.settings, view.lengths[-1]
    numbers = 2 * settings["layers"] * settings["width"]
    return f"""### What is held

A key and a value of {settings["width"]:,} numbers in each of {counted(settings["layers"], "layer")}
are {numbers:,} numbers a word, in single precision {size(4.0 * numbers)}; blocks are filled to the
end but for the last one. So the cache grows evenly with the text. In half precision it takes half
of that, in `int8` about a quarter. Without a cache the keys and values of all {last:,} words, their
scores and all results between are computed for one word and thrown away again."""


def of_the_window(view: View) -> str:
    window, sinks = view.settings["window"], view.settings["sinks"]
    return f"""### What a window is

The words in sight are the last {window:,} and the first {sinks:,}, so that neither time nor memory
has a reason to grow any more; of the time, a power of {power(view.growth(WINDOWED))} is measured.
To the kernels nothing has changed: the blocks of words out of sight have left the table. What those
words said is lost, unless a layer has passed it on while they were in sight. For sentences that
come round and round the words in sight are enough; for a name that stood on the first page they
would not be. The first words stay because attention has to look somewhere: a softmax sums to one
even where nothing fits, and networks learn to look at the beginning then."""
