"""Errors with names: each says what was expected, what was found, where, and what to do next.

The text of an error never holds a secret or a balance: it may be logged, mailed and shown in the UI.
"""

from __future__ import annotations


def printable(text: str) -> str:
    """A text without commands to a terminal: what does not show is spelled out, but for the ends of lines."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii") for c in text)


class ReconError(Exception):
    """The root of every error that this project raises on purpose.

    `exit_code` is what the command line ends with: 2 for usage and configuration, 3 for a source or a store.
    """

    exit_code = 3

    def __init__(self, found: str, *, where: str = "", expected: str = "", next_step: str = "") -> None:
        self.found = found
        self.where = where
        self.expected = expected
        self.next_step = next_step
        lines = [f"{type(self).__name__}: {found}"]
        lines += [f"  where:    {where}"] if where else []
        lines += [f"  expected: {expected}"] if expected else []
        lines += [f"  next:     {next_step}"] if next_step else []
        super().__init__(printable("\n".join(lines)))


class ConfigError(ReconError):
    """recon.yaml, an environment variable or a command-line option is wrong."""

    exit_code = 2


class MappingError(ReconError):
    """A mapping of a statements venue is wrong as a whole: nothing of that venue is written."""


class UnforeseenError(ReconError):
    """An error that this release does not know: a fault of the program, to be reported."""


class SourceFileError(ReconError):
    """One file of a statements folder cannot be believed: it is left out, the others count."""


class StoreError(ReconError):
    """The lake or the database refused a read or a write."""
