"""What a phone number and a text look like to strangers."""

MOST_STARS = 12
"""What is no number may be long; a screen isn't."""


def masked_number(number: str) -> str:
    """Return the number with all but its last three characters, and a leading ``+48``, hidden."""
    shown = number[:3] if number.startswith("+") else ""
    if len(number) < len(shown) + 6:
        return "*" * len(number)
    return f"{shown}{'*' * min(len(number) - len(shown) - 3, MOST_STARS)}{number[-3:]}"


def masked_text(text: str) -> str:
    """Return what may be said of a text: its length."""
    return f"<{len(text)} characters>"
