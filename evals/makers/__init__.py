"""Makers of test sets: false reports, sentences in free prose, hidden command lines. They import nothing that judges."""
