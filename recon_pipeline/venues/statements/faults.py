"""The faults of a statements folder, each with a name: one file that cannot be believed, or a mapping that cannot run.

A fault of a file leaves the file out and lets the rest go on; a MappingError refuses the venue's run. Texts name files,
lines and columns, never an amount.
"""

# ruff: noqa: N818 - the names say what was found, as they are shown to people: "EmptyFile: the file holds no bytes"
from __future__ import annotations

from recon_pipeline.errors import MappingError, ReconError, SourceFileError

MENDED = "mend the file and run again; until then its last good version stands in, and what rests on it is incomplete"


class FolderMissing(ReconError):
    """The folder of a statements venue is not there: nothing is read, and nothing is taken for gone."""


class EmptyFile(SourceFileError):
    """A file of zero bytes, which is not a file with a header and no rows."""


class UnreadableFile(SourceFileError):
    """A file that is not what its name says: a broken CSV, a truncated Parquet, no permission, not UTF-8."""


class FileChanged(SourceFileError):
    """A file that was written to while it was read."""


class UnknownColumn(SourceFileError):
    """A canonical file with a column that its frame does not have."""


class MissingColumn(SourceFileError):
    """A canonical file without a column that its frame requires."""


class InexactColumn(SourceFileError):
    """A canonical Parquet file with a column of a type that rounds or guesses."""


class HeaderDiffers(SourceFileError):
    """A file with other columns than the other files of its glob."""


class ValueRefused(SourceFileError):
    """A file with a value that amount(), instant() or a cast refuses inside a mapping."""


class NoFileMatches(SourceFileError):
    """A view of the mapping for which the folder holds no file."""


class FileGone(SourceFileError):
    """A file that a coverage row rests on and that is not in the folder."""


class NoFiles(SourceFileError):
    """A folder without any file that could be read."""


class MappingNotSelect(MappingError):
    """A mapping file that is not exactly one SELECT."""


class MappingSqlError(MappingError):
    """A mapping that DuckDB refuses."""


class MappingCast(MappingError):
    """A mapping that casts to a type which rounds or guesses."""


class MappingFunction(MappingError):
    """A mapping that calls a function which rounds, reads outside, or gives another answer each time."""


class MappingTable(MappingError):
    """A mapping that reads something that is not one of its views."""


class MappingColumns(MappingError):
    """A mapping whose columns are not those of its frame."""


class MappingType(MappingError):
    """A mapping with a column of a type that cannot be exact, such as DOUBLE or a timestamp without a zone."""


class MappingFiles(MappingError):
    """A mapping folder that is missing, or holds a file of no frame."""
