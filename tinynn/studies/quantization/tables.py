"""The tables of the study of quantization."""

from __future__ import annotations

from tinynn.studies.quantization.layers import KINDS
from tinynn.studies.quantization.outliers import EVERY
from tinynn.studies.quantization.settings import EXACT
from tinynn.studies.quantization.view import ENDS, READ, WRITTEN, View
from tinynn.studies.quantization.words import megabytes, nats, rise
from tinynn.studies.shared.report import mean, percent, table

__all__ = ["formats_table", "inputs_table", "kinds_table", "networks_table", "weights_table"]


def formats_table(view: View) -> str:
    rows = [
        [
            format,
            megabytes(view.bytes(format)),
            f"{view.perplexity(format):.2f}",
            "" if format == EXACT else rise(view.rise(format)),
            rise(view.rise(format, exact_inputs=True)) if format in view.with_inputs else "",
            f"{view.rate(READ, format):,.0f}",
            f"{view.rate(WRITTEN, format):,.1f}",
            "" if format == EXACT else f"{view.speedup(WRITTEN, format):.2f}",
        ]
        for format in view.formats
    ]
    columns = ["format", "weights", "perplexity", "rise", "inputs exact", "read/s", "written/s"]
    return (
        "The formats. *Inputs exact* is the rise where the inputs of layers are not rounded; "
        "tokens a second are of a prompt that is read, and of a text that is written; *faster* is "
        f"how many times.\n\n{table([*columns, 'faster'], rows)}"
    )


def networks_table(view: View) -> str:
    rows = [
        [
            format,
            *(
                cell
                for width in view.widths
                for cell in (
                    megabytes(view.network_bytes(width, format)),
                    f"{mean(view.network_losses(width, format)):.3f}",
                    "" if format == EXACT else nats(view.network_rise(width, format)),
                )
            ),
        ]
        for format in view.network_formats
    ]
    columns = [name for width in view.widths for name in (f"width {width}", "loss", "its rise")]
    return (
        "Two sizes trained here: bytes, loss (nats a character, mean of the trainings) and what "
        f"rounding adds to it.\n\n{table(['format', *columns], rows)}"
    )


def kinds_table(view: View) -> str:
    rows = []
    for kind in KINDS:
        single = view.of_layers(kind, "divergence")
        worst = max(range(len(single)), key=single.__getitem__)
        rows.append(
            [
                kind,
                thousandths(view.hurt_by(kind)),
                thousandths(sum(single)),
                f"{thousandths(single[worst])} (layer {worst + 1})",
                percent(mean(view.of_layers(kind, "error")), 2),
                f"{max(view.of_layers(kind, 'input_peak')):.1f}",
                f"{mean(view.of_layers(kind, 'weight_peak')):.2f}",
            ]
        )
    rows += [[f"table of tokens, {end}", thousandths(view.end(end)), *[""] * 5] for end in ENDS]
    columns = ["coarse", "all", "sum of single", "worst", "error", "input peak", "weight peak"]
    return (
        "What follows from one kind of layers made coarse (divergence in thousandths of a nat): "
        "all of the kind together, the sum of each alone, and the worst alone; beside it the mean "
        "error of the layers' outputs, the largest peak of their inputs and the mean peak of their "
        f"weights.\n\n{table(columns, rows)}"
    )


def weights_table(view: View) -> str:
    rows = [
        [
            name,
            *(
                thousandths(view.divergence(name, "weights", way))
                for way in ("none", "at random", "largest inputs")
            ),
            percent(view.given_back(name, "weights", "at random", "none"), 0),
            percent(view.given_back(name, "weights", "largest inputs", "none"), 0),
        ]
        for name in view.names
    ]
    columns = ["coarse", "none exact", "at random", "largest", "back", "back by largest"]
    return (
        f"Coarse weights with {percent(view.settings['kept'], 0)} of the columns exact (divergence "
        "in thousandths of a nat): columns at random, and those of the largest inputs; and the "
        f"share that either gives back.\n\n{table(columns, rows)}"
    )


def inputs_table(view: View) -> str:
    ways = ("token", "token, but for the largest", "group")
    rows = [
        [
            name,
            *(thousandths(view.divergence(name, "inputs", way)) for way in ways),
            percent(view.given_back(name, "inputs", ways[1], ways[0]), 0),
        ]
        for name in [*KINDS, EVERY]
    ]
    columns = ["rounded", "a scale a token", "largest exact", "a scale a group", "back by largest"]
    return (
        "Exact weights, and inputs rounded to eight bits (divergence in thousandths of a nat): "
        "with one scale for a token's whole vector, with the columns of the largest inputs exact "
        f"beside it, and with a scale for each group of columns.\n\n{table(columns, rows)}"
    )


def thousandths(value: float) -> str:
    """
    >>> thousandths(0.01234)
    '12.3'
    """
    return f"{1e3 * value:.3g}"
