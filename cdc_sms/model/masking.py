"""What a phone number and a text look like to strangers."""


def masked_number(number: str) -> str:
    """Return the number with all but its first and last three characters hidden."""
    if len(number) <= 6:
        return "*" * len(number)
    return f"{number[:3]}{'*' * (len(number) - 6)}{number[-3:]}"


def masked_text(text: str) -> str:
    """Return what may be said of a text: its length."""
    return f"<{len(text)} characters>"
