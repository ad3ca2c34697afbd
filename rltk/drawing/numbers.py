"""Numbers on pictures: as many decimals as their spread deserves, with a true minus sign."""

import math


def decimals_for(low: float, high: float) -> int | None:
    """Return the decimals that tell about a hundred steps apart between low and high; None asks for an exponent."""
    magnitude = max(abs(low), abs(high))
    span = high - low
    if span <= 1e-12 * magnitude:  # equal but for rounding: show the number itself to three figures
        span = magnitude
    if magnitude == 0:
        return 0
    decimals = max(0, 2 - math.floor(math.log10(span)))
    return None if magnitude >= 1e6 or decimals > 5 else decimals


def number(value: float, decimals: int | None) -> str:
    """Return the value as text: "−0.25", "∞", "1.2e−07"; never "-0.00"."""
    if math.isnan(value):
        return "?"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.1e}" if decimals is None else f"{value:.{decimals}f}"
    if decimals is not None and float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def numbers(low: float, high: float) -> tuple[str, str]:
    """Return both limits as text with the decimals of their spread."""
    decimals = decimals_for(low, high)
    return number(low, decimals), number(high, decimals)
