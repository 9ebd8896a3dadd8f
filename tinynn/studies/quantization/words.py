"""The quantities of the study of quantization as words."""

from __future__ import annotations

from tinynn.studies.shared.report import Difference

__all__ = ["megabytes", "millinats", "nats", "rise"]


def megabytes(count: float) -> str:
    """
    >>> megabytes(538_090_000.0), megabytes(84_200.0)
    ('538.1 MB', '0.084 MB')
    """
    return f"{count / 1e6:,.1f} MB" if count >= 1e7 else f"{count / 1e6:.3f} MB"


def millinats(value: float) -> str:
    """
    >>> millinats(0.01234), millinats(2e-7)
    ('12.3 mnat', '0.0002 mnat')
    """
    return f"{1e3 * value:.3g} mnat"


def nats(value: Difference) -> str:
    """
    >>> nats(Difference(0.0512, 0.0034))
    '0.051 ± 0.003 nats'
    """
    return f"{round(value.value, 3) + 0.0:.3f} ± {value.error:.3f} nats"


def rise(value: Difference) -> str:
    """
    >>> rise(Difference(0.0087, 0.0021))
    '0.87 ± 0.21%'
    """
    return f"{round(100 * value.value, 2) + 0.0:.2f} ± {100 * value.error:.2f}%"
