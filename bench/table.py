# SPDX-License-Identifier: MIT
"""
The table: two lines a row, the figures and the ratios

A figure is the median of its rounds. A ratio is the median of the rounds'
ratios, each between two runs that stood next to each other, and above 1 it
says by how much rota is ahead, whichever way the figure counts.
"""

from statistics import median

from programs import MISSING

WIDE, NARROW, TARGET = 25, 10, 16


class Target:
    """`at most 3.5`, or, with `of`, of the ratios to all of these programs."""

    def __init__(self, at_most=None, at_least=None, of=()):
        self.at_most, self.at_least, self.of = at_most, at_least, of

    def __str__(self):
        sign = "<=" if self.at_least is None else ">="
        bound = self.at_most if self.at_least is None else self.at_least
        whose = self.of[0] if len(self.of) == 1 else "peers"
        return f"{sign}{bound:,}" + (f" {whose}" if self.of else "")

    def values(self, row):
        """What is judged: figures or ratios, with None for what is not."""
        if self.of:
            return [row.quotients("rota", name) for name in self.of]
        return [row.figure("rota")]

    def met(self, values):
        """Judges by the digits that the table shows."""
        values = [round(value, 2) for value in values]
        if self.at_least is None:
            return max(values) <= self.at_most
        return min(values) >= self.at_least


class Ahead(Target):
    """`at least 1.2 x uvloop`: by how much, whichever way the row counts."""

    def __init__(self, times, of):
        super().__init__(at_least=times, of=(of,))

    def __str__(self):
        return f">={self.at_least:g} x {self.of[0]}"

    def values(self, row):
        return [row.ahead(self.of[0])]


class Row:
    has_ratios = True  # but of figures that may be negative

    def __init__(self, label, target=None, more_is_better=False):
        self.label, self.target = label, target
        self.more_is_better = more_is_better
        self.rounds = {}  # program's name -> figures, or words, a round each

    def add(self, name, figure):
        self.rounds.setdefault(name, []).append(figure)

    def word(self, name):
        """Why there is no figure, or None: one failure spoils the median."""
        words = [x for x in self.rounds[name] if isinstance(x, str)]
        return words[0] if words else None

    def figure(self, name):
        return None if self.word(name) else median(self.rounds[name])

    def quotients(self, name, other):
        if self.word(name) or self.word(other):
            return None
        pairs = zip(self.rounds[name], self.rounds[other])
        return median(x / y for x, y in pairs)

    def ahead(self, name):
        """How far rota is ahead of `name`; None where a ratio says nothing."""
        if not self.has_ratios:
            return None
        if self.more_is_better:
            return self.quotients("rota", name)
        return self.quotients(name, "rota")

    def verdict(self):
        if self.target is None:
            return ""
        if self.word("rota"):
            return "?"
        values = self.target.values(self)
        if None in values:
            return "?"
        return "yes" if self.target.met(values) else "NO"


def number(value):
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def print_line(label, rota, target, verdict, peers):
    print(
        f"{label:{WIDE}}{rota:>{NARROW}}{target:>{TARGET}}{verdict:>5}"
        + "".join(f"{cell:>{NARROW}}" for cell in peers)
    )


def print_head(programs):
    rota, *peers = [program.name for program in programs]
    print_line("", rota, "target", "met", peers)


def print_row(row, programs):
    names = [program.name for program in programs]
    rota, *peers = [
        row.word(name) or number(median(row.rounds[name])) for name in names
    ]
    target = "" if row.target is None else str(row.target)
    print_line(row.label, rota, target, row.verdict(), peers)
    ratios = [row.ahead(name) for name in names[1:]]
    if any(ratio is not None for ratio in ratios):
        cells = ["" if ratio is None else f"{ratio:.2f} x" for ratio in ratios]
        print_line("", "", "", "", cells)


def print_missing(programs):
    for program in programs:
        if program.missing_why:
            print(f"{MISSING}: {program.name} ({program.missing_why})")
