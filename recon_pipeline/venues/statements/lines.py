"""On which line of a CSV file each record starts, where quoted line breaks and empty lines make that hard to tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

_CHUNK = 1 << 24
_LINE_FEED, _RETURN, _QUOTE = 10, 13, 34


def record_lines(path: Path) -> npt.NDArray[np.int64]:
    """The 1-based first line of every record, the header's included; lines that are empty are no records.

    A line feed between quotes does not end a record: it is one that an odd number of quotes stands before, and a
    doubled quote counts twice, so it changes nothing. The file is read in pieces; nothing is done for each row.
    """
    starts: list[npt.NDArray[np.int64]] = []
    quotes, line, offset, record_line, record_offset = 0, 1, 0, 1, 0
    last_byte = 0
    with path.open("rb") as source:
        while piece := source.read(_CHUNK):
            data = np.frombuffer(piece, dtype=np.uint8)
            feeds = np.flatnonzero(data == _LINE_FEED)
            quotes_before = quotes + np.searchsorted(np.flatnonzero(data == _QUOTE), feeds)
            ends = feeds[quotes_before % 2 == 0]
            lines_after = line + np.searchsorted(feeds, ends, side="right")
            # A record runs from where the one before ended; it is empty if nothing but a carriage return is in it.
            begins = np.concatenate(([record_offset], offset + ends[:-1] + 1)) if len(ends) else np.empty(0, np.int64)
            first_lines = np.concatenate(([record_line], lines_after[:-1])) if len(ends) else np.empty(0, np.int64)
            length = offset + ends - begins
            before = np.where(ends > 0, data[np.maximum(ends - 1, 0)], last_byte)
            empty = (length == 0) | ((length == 1) & (before == _RETURN))
            starts.append(first_lines[~empty].astype(np.int64))
            if len(ends):
                record_line, record_offset = int(lines_after[-1]), int(offset + ends[-1] + 1)
            quotes += int(np.count_nonzero(data == _QUOTE))
            line += len(feeds)
            offset += len(data)
            last_byte = int(data[-1])
    if offset > record_offset and not (offset - record_offset == 1 and last_byte == _RETURN):
        starts.append(np.array([record_line], np.int64))
    return np.concatenate(starts) if starts else np.empty(0, np.int64)
