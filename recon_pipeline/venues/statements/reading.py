"""A statements folder at one moment, as canonical frames: the one read on which a run of the venue rests.

Files that cannot be believed are left out by name (a fault of a file), rows are quarantined (a fault of a row), and a
mapping that cannot be trusted refuses the whole (a MappingError). What each file was is in `Reading.files`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from recon_pipeline.config import VenueSettings
from recon_pipeline.errors import SourceFileError
from recon_pipeline.frames.exact import connect
from recon_pipeline.frames.schema import FLOW_FRAMES, QUARANTINE, TEXT, Frame
from recon_pipeline.frames.validate import FILE, Validated, validate
from recon_pipeline.venues.reading import Reading, SourceFile
from recon_pipeline.venues.statements.archive import Archive, fingerprint
from recon_pipeline.venues.statements.claims import STREAMS, with_refused_claims, without_claims_on
from recon_pipeline.venues.statements.faults import FileGone, MappingFiles, NoFiles
from recon_pipeline.venues.statements.files import connect_reader
from recon_pipeline.venues.statements.folder import (
    INPUT_FRAMES,
    Folder,
    FolderFile,
    find_files,
    find_unread,
)
from recon_pipeline.venues.statements.kept import Kept, instants, key, load, save
from recon_pipeline.venues.statements.mapping import Mapped, Period, map_folder, widen
from recon_pipeline.venues.statements.sql import SqlFile

PERIOD_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "transfers": ("datetime",),
    "trades": ("datetime",),
    "balances": ("as_of",),
    "prices": ("as_of",),
    "coverage": ("window_start", "window_end"),
    "expected": (),
}


def read_folder(
    venue: VenueSettings, archive: Path, last_good: Mapping[str, str] | None = None, *, kept: Path | None = None
) -> Reading:
    """Reads, archives, maps and validates the folder of a statements venue.

    `last_good` gives, for a file's name, the digest of its last good version. In the folder `kept` the last reading is
    kept, and taken from there if no byte and no setting has changed since. Raises FolderMissing, a MappingError (the
    venue's run is refused) or StoreError (the archive cannot be written).
    """
    sql = _mapping_files(venue)
    found = _load_kept(venue, sql, archive, last_good or {}, kept) if kept is not None else None
    if found is not None:
        return found
    reading = _read_folder(venue, sql, archive, last_good or {})
    if kept is not None and not reading.faults and not len(reading.quarantine):
        _save_kept(venue, sql, last_good or {}, kept, reading)
    return reading


def _read_folder(
    venue: VenueSettings, sql: Mapping[str, SqlFile], archive: Path, last_good: Mapping[str, str]
) -> Reading:
    with closing(connect_reader()) as reader:
        folder = Folder(
            reader, venue.folder, globs=venue.files, mapped=frozenset(sql), archive=archive, last_good=last_good
        )
        mapped = map_folder(folder, sql, venue.files, PERIOD_COLUMNS)
    tables: dict[str, pa.Table] = {
        frame.name: mapped.tables.pop(frame.name) if frame.name in mapped.tables else _canonical_rows(folder, frame)
        for frame in INPUT_FRAMES
    }
    folder.forget_rows()
    files = _source_files(venue, folder, tables, mapped, last_good)
    validated: dict[str, Validated] = {}
    for frame in INPUT_FRAMES:  # one after the other, for what was given is freed when it is done
        allowed = {"stream": (*STREAMS, "*")}
        validated[frame.name] = validate(frame, tables.pop(frame.name), venue.name, allowed=allowed)
    frames: dict[str, pa.Table] = {name: result.rows for name, result in validated.items()}
    claimed = pc.unique(frames["coverage"]["file"].drop_null()).to_pylist()
    frames["coverage"] = _coverage(venue.name, folder, mapped, validated)
    return Reading(
        venue=venue.name,
        frames=frames,
        quarantine=_quarantine(validated, folder, mapped),
        files=files,
        faults=_faults(folder, mapped, claimed),
        streams=_streams(folder, sql, frames["coverage"]),
        digest=_digest(venue, folder, sql),
        counts={name: result.counts for name, result in validated.items()},
    )


# --- the last reading -------------------------------------------------------------------------------------------------


def _load_kept(
    venue: VenueSettings, sql: Mapping[str, SqlFile], archive: Path, last_good: Mapping[str, str], kept: Path
) -> Reading | None:
    """The reading that was kept of the files as they are now, if it was, and if the archive holds every one."""
    if not venue.folder.is_dir() or not (kept / venue.name).is_dir():
        return None
    try:
        files = find_files(venue.folder, venue.files, frozenset(sql))
        digests = {file.name: fingerprint(file.path).digest for file in files}
    except OSError:
        return None
    if not all(Archive(archive).holds(digest) for digest in digests.values()):
        return None
    found = load(kept, venue.name, _kept_key(venue, sql, digests, last_good))
    if found is None:
        return None
    files_then = [SourceFile(**_source_row(row)) for row in found.about["files"]]
    return Reading(
        venue=venue.name,
        frames=found.frames,
        quarantine=QUARANTINE.empty_table(),
        files=_all_files(venue, files_then, last_good),
        faults=(),
        streams=tuple(found.about["streams"]),
        digest=found.about["digest"],
        counts=found.about["counts"],
    )


def _save_kept(
    venue: VenueSettings, sql: Mapping[str, SqlFile], last_good: Mapping[str, str], kept: Path, reading: Reading
) -> None:
    """Keep the reading under its files as they will be told when it is looked for next: all good now."""
    digests = {file.path: str(file.digest) for file in reading.files if file.status == "read"}
    about = {
        "files": [asdict(file) for file in reading.files if file.status == "read"],
        "streams": list(reading.streams),
        "digest": reading.digest,
        "counts": {name: dict(counts) for name, counts in reading.counts.items()},
    }
    save(kept, venue.name, _kept_key(venue, sql, digests, digests), Kept(reading.frames, about))


def _kept_key(
    venue: VenueSettings, sql: Mapping[str, SqlFile], digests: Mapping[str, str], last_good: Mapping[str, str]
) -> str:
    mapping = {name: file.text for name, file in sql.items()}
    return key(venue.name, dict(venue.files), mapping, dict(digests), dict(last_good))


def _source_row(row: Mapping[str, Any]) -> dict[str, Any]:
    told = instants(row, ("first_instant", "last_instant"))
    return {**told, "frames": tuple(told["frames"])}


def _mapping_files(venue: VenueSettings) -> dict[str, SqlFile]:
    """The mapping's SQL by the frame that it makes."""
    if venue.mapping is None:
        return {}
    if not venue.mapping.is_dir():
        raise MappingFiles(
            "the folder of the mapping is missing",
            where=str(venue.mapping),
            expected="a folder with a SQL file for each frame that is mapped",
            next_step="create it, or correct `mapping` in recon.yaml",
        )
    names = [frame.name for frame in INPUT_FRAMES]
    found = {path.stem: path for path in sorted(venue.mapping.glob("*.sql"))}
    if unknown := [path for stem, path in found.items() if stem not in names]:
        raise MappingFiles(
            f"{unknown[0].name} is named after no frame",
            where=str(unknown[0].name),
            expected=", ".join(f"{name}.sql" for name in names),
            next_step="rename the file; parts of a mapping are written as CTEs inside it",
        )
    return {name: SqlFile.read(path) for name, path in found.items()}


def _canonical_rows(folder: Folder, frame: Frame) -> pa.Table:
    tables = [file.opened.table for file in folder.files if file.canonical == frame and file.opened is not None]
    for file in folder.files:
        if file.canonical == frame:
            file.frames.add(frame.name)
    if not tables:
        return pa.table({column.name: pa.nulls(0, TEXT) for column in frame.columns})
    types = {name: _types(name, tables) for name in sorted({name for table in tables for name in table.column_names})}
    words = {column.name for column in frame.columns if column.type == TEXT}
    as_text = {name for name, found in types.items() if len(found) > 1 or (name in words and found != {TEXT})}
    return pa.concat_tables([_as_text(table, as_text) for table in tables], promote_options="default")


def _types(column: str, tables: Sequence[pa.Table]) -> set[pa.DataType]:
    return {table.schema.field(column).type for table in tables if column in table.column_names}


def _as_text(table: pa.Table, columns: Collection[str]) -> pa.Table:
    """The table with these columns as text, so that files of both kinds can stand in one, and numbers can be names."""
    for position, field in enumerate(table.schema):
        if field.name in columns:
            table = table.set_column(position, field.name, pc.cast(table.column(position), TEXT))
    return table


# --- what faults of files mean ----------------------------------------------------------------------------------------


def _bad(folder: Folder, frames: set[str]) -> list[FolderFile]:
    return [file for file in folder.files if file.fault is not None and file.frames & frames]


def _coverage(venue: str, folder: Folder, mapped: Mapped, validated: Mapping[str, Validated]) -> pa.Table:
    """The claims as far as they hold."""
    frames = {name: result.rows for name, result in validated.items()}
    coverage = with_refused_claims(venue, frames, validated["coverage"].quarantine)
    named = pc.unique(coverage["file"].drop_null()).to_pylist()
    errors: dict[str, str | None] = dict.fromkeys(named, FileGone.__name__)
    errors |= {file.name: type(file.fault).__name__ if file.fault is not None else None for file in folder.files}
    flows: set[str] = {frame.name for frame in FLOW_FRAMES}
    of_flows = {type(file.fault).__name__ for file in _bad(folder, flows)}
    of_flows |= {type(fault).__name__ for fault in mapped.faults_feeding(flows)}
    if not any(errors.values()) and not of_flows:
        return coverage
    return without_claims_on(coverage, errors, ", ".join(sorted(of_flows)) or None)


def _quarantine(validated: Mapping[str, Validated], folder: Folder, mapped: Mapped) -> pa.Table:
    """The refused rows of every frame, and a row for each bad file that feeds balances or prices."""
    markers = []
    for frame in ("balances", "prices"):
        markers += [_marker(frame, f.fault, f.name) for f in _bad(folder, {frame}) if f.fault is not None]
        markers += [_marker(frame, fault, None) for fault in mapped.faults_feeding({frame})]
    tables = [result.quarantine for result in validated.values()]
    tables.append(pa.Table.from_pylist(markers, schema=QUARANTINE))
    table = pa.concat_tables(tables)
    return table.sort_by([(name, "ascending") for name in ("frame", "file", "line", "error", "content")])


def _marker(frame: str, fault: SourceFileError, file: str | None) -> dict[str, object]:
    return {
        "frame": frame,
        "error": type(fault).__name__,
        "reason": f"{fault.found}; expected {fault.expected}; next: {fault.next_step}",
        "file": file,
        "content": json.dumps({"file": file}),
    }


def _faults(folder: Folder, mapped: Mapped, claimed: Iterable[str]) -> tuple[SourceFileError, ...]:
    """What was wrong with files, with views that no file serves, and with claims on files that are not there."""
    return (
        *(file.fault for file in folder.files if file.fault is not None),
        *mapped.faults,
        *(_gone(name) for name in sorted(set(claimed) - {file.name for file in folder.files})),
        *(() if folder.files or mapped.faults else (_no_files(folder),)),
    )


def _gone(name: str) -> SourceFileError:
    return FileGone(
        "coverage rests on a file that is not in the folder",
        where=name,
        expected="the file, or coverage that does not name it",
        next_step="put the file back, or correct the coverage; until then what it covered is incomplete",
    )


def _no_files(folder: Folder) -> SourceFileError:
    return NoFiles(
        "the folder holds no file that is read",
        where=str(folder.root),
        expected="files named balances*, transfers*, trades*, prices*, coverage* or expected* as .csv or .parquet, or"
        " patterns under `files`",
        next_step="put the statements there, or correct `folder` and `files` in recon.yaml",
    )


def _streams(folder: Folder, sql: Mapping[str, SqlFile], coverage: pa.Table) -> tuple[str, ...]:
    """The streams that a mapping, a canonical file or a coverage row names; a row of `*` names them all."""
    named = {*sql, *(file.canonical.name for file in folder.files if file.canonical is not None)}
    named |= set(pc.unique(coverage["stream"]).to_pylist())
    return tuple(stream for stream in STREAMS if named & {stream, "*"})


# --- what was read ----------------------------------------------------------------------------------------------------


def _source_files(
    venue: VenueSettings, folder: Folder, tables: Mapping[str, pa.Table], mapped: Mapped, last_good: Mapping[str, str]
) -> tuple[SourceFile, ...]:
    periods = dict(mapped.periods)
    with closing(connect()) as connection:
        for frame in INPUT_FRAMES:
            if PERIOD_COLUMNS[frame.name] and any(file.canonical == frame for file in folder.files):
                widen(periods, _periods_in(connection, tables[frame.name], PERIOD_COLUMNS[frame.name]))
    files = [_source_file(file, periods.get(file.name, (None, None)), last_good) for file in folder.files]
    return _all_files(venue, files, last_good)


def _all_files(
    venue: VenueSettings, files: Sequence[SourceFile], last_good: Mapping[str, str]
) -> tuple[SourceFile, ...]:
    """The files that were read or should have been, those that nothing reads, and those that have gone; by name."""
    unread = find_unread(venue.folder, (file.path for file in files), venue.mapping)
    gone = last_good.keys() - {file.path for file in files} - set(unread)
    others = [_untold(path, "unread", None) for path in unread] + [_untold(p, "gone", last_good[p]) for p in gone]
    return tuple(sorted([*files, *others], key=lambda file: file.path))


def _untold(path: str, status: str, digest: str | None) -> SourceFile:
    return SourceFile(path, digest, None, None, None, None, status, None, None, (), None)


def _source_file(file: FolderFile, period: Period, last_good: Mapping[str, str]) -> SourceFile:
    return SourceFile(
        path=file.name,
        digest=file.found.digest if file.found else None,
        bytes=file.found.size if file.found else None,
        rows=file.opened.rows if file.opened else None,
        first_instant=period[0],
        last_instant=period[1],
        status="read" if file.fault is None else "faulty",
        error=type(file.fault).__name__ if file.fault else None,
        message=str(file.fault) if file.fault else None,
        frames=tuple(sorted(file.frames)),
        last_good=file.digest if file.fault is None else last_good.get(file.name),
    )


def _periods_in(connection: duckdb.DuckDBPyConnection, table: pa.Table, columns: tuple[str, ...]) -> dict[str, Period]:
    """First and last instant of each file's rows."""
    if table.num_rows == 0:
        return {}
    connection.register("given", table.select([*columns, FILE]))
    told = {
        name: name if pa.types.is_timestamp(table.schema.field(name).type) else f"instant_or_null({name})"
        for name in columns
    }
    each = " UNION ALL ".join(f"SELECT {FILE}, {told[name]} AS told FROM given" for name in columns)
    rows = connection.execute(f"SELECT {FILE}, min(told), max(told) FROM ({each}) GROUP BY 1").fetchall()
    connection.unregister("given")
    return {str(name): (first, last) for name, first, last in rows}


def _digest(venue: VenueSettings, folder: Folder, sql: Mapping[str, SqlFile]) -> str:
    """Over what made the rows: the bytes that counted, the faults, the mapping and the globs."""
    told = {
        "venue": venue.name,
        "files": [[file.name, file.digest, type(file.fault).__name__ if file.fault else None] for file in folder.files],
        "globs": dict(sorted(venue.files.items())),
        "mapping": {name: file.text for name, file in sorted(sql.items())},
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
