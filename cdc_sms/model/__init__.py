"""The nouns that every stage speaks in, and their arithmetic: pure, without any driver."""
