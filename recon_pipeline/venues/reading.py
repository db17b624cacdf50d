"""What a venue has told, as canonical frames: the one read on which a run of the venue rests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from recon_pipeline.errors import ReconError, SourceFileError

UNREAD = "FeedUnread"
"""The error of a row of quarantine that stands for a wallet of which nothing was read: no row was refused, a snapshot
is missing."""


@dataclass(frozen=True)
class SourceFile:
    """One file of the folder as `recon.source_files` tells of it.

    `status` is read, faulty, unread (neither a glob nor a frame's name fits it) or gone (known from earlier, no longer
    there). `error` is the fault's name and `message` its whole text. `rows` and the instants are those of the rows that
    count, so of the stand-in where one stands in. `last_good` is the digest of the last version without a fault, which
    would stand in for a bad one.
    """

    path: str
    digest: str | None
    bytes: int | None
    rows: int | None
    first_instant: datetime | None
    last_instant: datetime | None
    status: str
    error: str | None
    message: str | None
    frames: tuple[str, ...]
    last_good: str | None


@dataclass(frozen=True)
class Reading:
    """Everything that a venue has told, at one moment.

    `frames` holds all six inputs, good rows only, each in its Frame.arrow and order. `quarantine` holds refused rows,
    and for each bad file that feeds balances or prices a row without a position or asset: nothing absent counts as
    zero then, and no price is known.
    `streams` are those that can move a wallet here. `digest` is over every byte and every setting that made the rows.
    `files` and their `faults` are those of a folder of statements; `problems` is what a venue that is asked over HTTP
    refused or told that cannot be believed, one for each account and stream.
    """

    venue: str
    frames: Mapping[str, pa.Table]
    quarantine: pa.Table
    files: tuple[SourceFile, ...]
    faults: tuple[SourceFileError, ...]
    streams: tuple[str, ...]
    digest: str
    counts: Mapping[str, Mapping[str, int]]
    problems: tuple[ReconError, ...] = ()
