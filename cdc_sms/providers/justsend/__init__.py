"""Digital Virgo's JustSend, contract v2."""
