"""What the report of the study `kv-cache` says of its results."""

from __future__ import annotations

from tinynn.studies.kv_cache.view import View
from tinynn.studies.kv_cache.ways import CACHED, RECOMPUTED, WAYS, WINDOWED
from tinynn.studies.shared.report import Difference, capital, counted, enumeration, table
from tinynn.studies.shared.study import Results

__all__ = ["answer", "ran", "seen", "size", "time"]


def answer(results: Results) -> str:
    view = View(results)
    return "\n\n".join([the_words(view), what_it_saves(view), what_it_holds(view)])


# ---- the same words


def the_words(view: View) -> str:
    words = view.continuation(RECOMPUTED)
    stop = words.index(".") + 1 if "." in words else len(words)
    shown = " ".join([view.measured["prompt"], *words[:stop]])
    start = f'"{readable(shown)}"' if "." in words else f'"{readable(shown)} ..."'
    return f"{start} {of_the_cache(view)} {of_the_window(view)}"


def of_the_cache(view: View) -> str:
    words, common = view.continuation(RECOMPUTED), view.agreement(RECOMPUTED, CACHED)
    if common < len(words):
        return (
            f"With a cache the text goes on as without for {counted(common, 'word')}, and then in "
            "another way: rounding has turned a close decision."
        )
    same = view.same(RECOMPUTED, CACHED)
    text = f"With a cache and without, the text goes on with the same {counted(len(words), 'word')}"
    if len(same) == len(view.lengths):
        return f"{text}; the logits differ by {view.apart(CACHED):.1e} at most."
    others = [f"{n:,}" for n in view.lengths if n not in same]
    return f"{text}, but after {enumeration(others)} words another word follows."


def of_the_window(view: View) -> str:
    window, sinks = view.settings["window"], view.settings["sinks"]
    words, common = view.continuation(RECOMPUTED), view.agreement(RECOMPUTED, WINDOWED)
    start = f"A window of {counted(window, 'word')} and {counted(sinks, 'sink')}"
    if common == len(words):
        return f"{start} gives these words as well."
    return f"{start} gives the same for {counted(common, 'word')}, and then others."


# ---- time


def what_it_saves(view: View) -> str:
    plain, cached, windowed = (view.growth(way) for way in WAYS)
    apart = Difference(plain.value - cached.value, (plain.error**2 + cached.error**2) ** 0.5)
    first, last = view.lengths[0], view.lengths[-1]
    told = (
        f"after {last:,} words the next one takes {time(view.seconds(RECOMPUTED, last))} without a "
        f"cache and {time(view.seconds(CACHED, last))} with one ({view.speedup(last):.1f} times as "
        f"fast), after {first:,} words {time(view.seconds(RECOMPUTED, first))} and "
        f"{time(view.seconds(CACHED, first))}"
    )
    if apart.is_clear and apart.value > 0:
        start = "The longer the text, the more the cache saves"
    else:
        start = "That a cache saves more in a longer text is not clear in this run"
    return (
        f"{start}: {told}. From {view.longer[0]:,} words on the time grows as the length to the "
        f"power of {power(plain)} without a cache, {power(cached)} with one, and "
        f"{power(windowed)} in a window."
    )


def power(growth: Difference) -> str:
    """
    >>> power(Difference(1.5, 0.02))
    '1.50 ± 0.02'
    """
    return f"{growth.value:.2f} ± {growth.error:.2f}"


# ---- memory


def what_it_holds(view: View) -> str:
    last = view.lengths[-1]
    text = (
        f"The price is memory: after {last:,} words the cache holds {size(view.held(CACHED, last))}"
    )
    if view.held(WINDOWED, last) < view.held(CACHED, last):
        return (
            f"{text}, a window {size(view.held(WINDOWED, last))}, whatever the length. Without a "
            f"cache nothing is held, but {size(view.working(RECOMPUTED, last))} are taken for a "
            "moment, for each word anew."
        )
    return f"{text}; the window is no shorter than the text, and saves nothing of it."


# ---- what was run


def ran(results: Results) -> str:
    view = View(results)
    settings, measured = view.settings, view.measured
    return f"""
A transformer of {counted(settings["layers"], "layer")}, width {settings["width"]} and
{counted(settings["heads"], "head")} ({measured["parameters"]:,} parameters) reads a few sentences
that come round and round, {measured["text"]:,} words of {measured["vocabulary"]:,}, each a token.
It was trained for {counted(settings["steps"], "step")} on {settings["batch_size"]} pieces of
{counted(settings["trained_words"], "word")}; its loss was {measured["loss"]:.4f} nats a word at the
end. Then it goes on with "{measured["prompt"]}", always with the most likely word, in three ways:

- **{RECOMPUTED}**: the whole text goes through the network for each word;
- **{CACHED}**: the last word alone does, and attends to the keys and values of those before it,
  which lie in blocks of a `KVCache`;
- **{WINDOWED}**: likewise, but a word sees the last {settings["window"]:,} words and the first
  {settings["sinks"]:,}; blocks that are out of sight go back to the pool.

For the times the text is given up to {enumeration([f"{n:,}" for n in view.lengths])} words, and the
word after it is found again and again, on one thread, the three ways in turn in each of
{settings["rounds"]} rounds. "Held" are the bytes of the blocks that a text has, "for a moment" the
most that arrays take while a word is found.
"""


# ---- what was seen


def seen(results: Results) -> str:
    view = View(results)
    columns = ["words", *WAYS, "times as fast"]
    rows = [
        [f"{n:,}", *(time(view.seconds(way, n)) for way in WAYS), f"{view.speedup(n):.1f}"]
        for n in view.lengths
    ]
    held = [
        [
            f"{n:,}",
            size(view.working(RECOMPUTED, n)),
            size(view.held(CACHED, n)),
            size(view.held(WINDOWED, n)),
        ]
        for n in view.lengths
    ]
    return f"""
The words that follow on "{view.measured["prompt"]}":

{the_texts(view)}

![Time and memory for the next word, by length](lengths.png)

The time for the next word, and how many times as fast it is with a cache as without:

{table(columns, rows)}

The memory for it, for a moment without a cache, held with one:

{table(columns[:-1], held)}

{of_long_texts(view)}
"""


def the_texts(view: View) -> str:
    return "\n".join(f"- {way}: {readable(' '.join(view.continuation(way)))}" for way in WAYS)


def of_long_texts(view: View) -> str:
    """What becomes of the words in texts longer than those of the training."""
    trained = view.settings["trained_words"]
    beyond = [n for n in view.lengths if n > trained]
    wrong = {way: [n for n in beyond if n not in view.right(way)] for way in (CACHED, WINDOWED)}
    if not beyond:
        return "No text was longer than those of the training."
    start = f"No text of the training was longer than {counted(trained, 'word')}."
    told = [
        f"{way} {'on every one' if not places else f'on all but those of {listed(places)}'}"
        for way, places in wrong.items()
    ]
    return f"{start} On longer ones the right word follows {enumeration(told)}."


def listed(lengths: list[int]) -> str:
    return f"{enumeration([f'{n:,}' for n in lengths])} words"


# ---- words and numbers


def readable(words: str) -> str:
    """
    >>> readable("waltz , bad nymph .")
    'Waltz, bad nymph.'
    """
    return capital(words).replace(" ,", ",").replace(" .", ".")


def time(seconds: float) -> str:
    """
    >>> time(0.0123), time(0.0000456), time(2.5)
    ('12.3 ms', '45.6 µs', '2.5 s')
    """
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{1e3 * seconds:.3g} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.3g} µs"


def size(count: float) -> str:
    """
    >>> size(32768.0), size(4.2e6)
    ('32.8 kB', '4.2 MB')
    """
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
