"""Where a lake's files lie: a local folder or an object store, behind the few operations that a lake needs.

Names are relative, with forward slashes. What a partition means, and when it changes, is no business of this module.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import fsspec
from fsspec.core import url_to_fs

from recon_pipeline.errors import ConfigError, StoreError

# fsync waits for the device, not for a processor: a few at once share its journal commits.
_SYNC_THREADS = 8
_PACKAGES = {
    "s3": "pip install s3fs", "s3a": "pip install s3fs", "gs": "pip install gcsfs", "gcs": "pip install gcsfs",
    "abfs": "pip install adlfs", "abfss": "pip install adlfs", "az": "pip install adlfs",
}  # fmt: skip
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def no_room(error: BaseException) -> bool:
    """Whether an error, of Python, Arrow or DuckDB, says that the disk is full."""
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return True
    text = str(error)
    return "No space left on device" in text or "Disk quota exceeded" in text


def refused(error: BaseException, path: str) -> StoreError:
    """The named error for a write that the file system refused. Nothing that was readable before has changed."""
    if no_room(error):
        return StoreError(
            "the disk is full",
            where=path,
            expected="room for the partitions of this run",
            next_step=f"free space on the disk that holds {path} and run again; what was there before is untouched",
        )
    reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return StoreError(
        f"cannot write to the lake: {reason}",
        where=path,
        expected="a folder or bucket that this user may write",
        next_step="mend its permissions or name another folder with RECON_HOME, and run again",
    )


class Folder(Protocol):
    """The file operations of a lake. A version is a text that changes whenever the file's content may have."""

    root: str

    def path(self, name: str) -> str:
        """The full path or URL of a file, as pyarrow, DuckDB and people may use it."""

    def children(self, name: str, leaf: str) -> dict[str, str]:
        """The versions of `<name>/<child>/<leaf>`, by child, from one listing."""

    def folders(self, name: str) -> list[str]:
        """The names of the folders directly below one; none if it does not exist."""

    def version(self, name: str) -> str | None:
        """The version of a file; None if there is none."""

    def open(self, name: str) -> BinaryIO:
        """A file's bytes; FileNotFoundError if there is none."""

    def staging(self) -> Path:
        """A local folder in which a write can be prepared; never read as part of the lake."""

    def apply(self, staged: Mapping[str, Path], removed: Iterable[str]) -> None:
        """Put each staged file in its place, whole or not at all, then remove files; durable on return."""


class LocalFolder:
    """A lake on a local disk: a file is replaced by a rename on the same file system. One that is not durable need not
    outlive a failure of the machine."""

    def __init__(self, root: Path, *, is_durable: bool = True) -> None:
        self._is_durable = is_durable
        self._root = root.absolute()
        self.root = str(self._root)

    def path(self, name: str) -> str:
        """The absolute path of a file."""
        return f"{self.root}/{name}"

    def children(self, name: str, leaf: str) -> dict[str, str]:
        """The versions of `<name>/<child>/<leaf>`, by child. A thousand children take a few milliseconds."""
        found = {}
        try:
            with os.scandir(self._root / name) as entries:
                for entry in entries:
                    version = self._version(f"{entry.path}/{leaf}")
                    if version is not None:
                        found[entry.name] = version
        except FileNotFoundError:
            return {}
        return found

    def folders(self, name: str) -> list[str]:
        """The names of the folders directly below one."""
        folder = self._root / name
        return [entry.name for entry in folder.iterdir() if entry.is_dir()] if folder.is_dir() else []

    def version(self, name: str) -> str | None:
        """Size, modification time and inode: a replaced file differs in one of them."""
        return self._version(self.path(name))

    @staticmethod
    def _version(path: str) -> str | None:
        try:
            stat = os.stat(path)  # noqa: PTH116 - called thousands of times: pathlib's share would be the larger
        except (FileNotFoundError, NotADirectoryError):
            return None
        return f"{stat.st_size}-{stat.st_mtime_ns}-{stat.st_ino}"

    def open(self, name: str) -> BinaryIO:
        """A file's bytes."""
        return (self._root / name).open("rb")

    def staging(self) -> Path:
        """Inside the lake, so that a rename stays on one file system; hidden from every listing of partitions."""
        return self._root / ".staging"

    def apply(self, staged: Mapping[str, Path], removed: Iterable[str]) -> None:
        """Make every folder first (that may fail on a full disk), then rename, then remove, then flush folders."""
        targets = {self._root / name: source for name, source in staged.items()}
        self._make_folders([target.parent for target in targets])
        self._sync(targets.values())
        for target, source in targets.items():
            source.replace(target)
        gone = [self._root / name for name in removed]
        for path in gone:
            path.unlink(missing_ok=True)
        for path in gone:
            _remove_if_empty(path.parent)
        self._sync(folder for folder in self._folders_of([*targets, *gone]) if folder.exists())

    def _sync(self, paths: Iterable[Path]) -> None:
        """Flush files or folders to the device."""
        if self._is_durable:
            with ThreadPoolExecutor(_SYNC_THREADS) as pool:
                list(pool.map(_sync_one, paths))

    def _folders_of(self, files: Iterable[Path]) -> set[Path]:
        """Every folder from those of the files up to the lake's own."""
        found: set[Path] = set()
        for file in files:
            folder = file.parent
            while folder not in found:
                found.add(folder)
                if folder == self._root:
                    break
                folder = folder.parent
        return found

    @staticmethod
    def _make_folders(folders: Iterable[Path]) -> None:
        made: list[Path] = []
        try:
            for folder in folders:
                if not folder.exists():
                    folder.mkdir(parents=True)
                    made.append(folder)
        except OSError:
            for folder in made:
                _remove_if_empty(folder)
            raise


class RemoteFolder:
    """A lake in an object store (any fsspec URL): an object appears whole when its upload ends."""

    def __init__(self, url: str) -> None:
        self.filesystem, root = url_to_fs(url)
        self._base = str(root).rstrip("/")
        self.root = self.filesystem.unstrip_protocol(self._base)

    def path(self, name: str) -> str:
        """The URL of a file; DuckDB reads it once `filesystem` is registered with the connection."""
        return f"{self.root}/{name}"

    def children(self, name: str, leaf: str) -> dict[str, str]:
        """The versions of `<name>/<child>/<leaf>`, by child."""
        self.filesystem.invalidate_cache()
        try:
            listed = self.filesystem.find(f"{self._base}/{name}", detail=True)
        except FileNotFoundError:
            return {}
        found = {}
        for path, info in listed.items():
            *_, child, last = path.split("/")
            if last == leaf:
                found[child] = self._version_of(info)
        return found

    def folders(self, name: str) -> list[str]:
        """The names of the folders directly below one."""
        self.filesystem.invalidate_cache()
        try:
            listed = self.filesystem.ls(f"{self._base}/{name}", detail=True)
        except FileNotFoundError:
            return []
        return [str(info["name"]).rstrip("/").rsplit("/", 1)[-1] for info in listed if info["type"] == "directory"]

    def version(self, name: str) -> str | None:
        """Size, and whatever the store tells of the content or its time."""
        self.filesystem.invalidate_cache()
        try:
            return self._version_of(self.filesystem.info(f"{self._base}/{name}"))
        except FileNotFoundError:
            return None

    @staticmethod
    def _version_of(info: Mapping[str, object]) -> str:
        told = [info.get(key) for key in ("ETag", "etag", "md5Hash", "generation", "mtime", "LastModified", "created")]
        return f"{info.get('size')}-{next((value for value in told if value), None)}"

    def open(self, name: str) -> BinaryIO:
        """An object's bytes."""
        return cast(BinaryIO, self.filesystem.open(f"{self._base}/{name}", "rb"))

    def staging(self) -> Path:
        """In the machine's temporary folder, one for each user."""
        return Path(tempfile.gettempdir()) / f"recon-lake-staging-{os.getuid()}"

    def apply(self, staged: Mapping[str, Path], removed: Iterable[str]) -> None:
        """Upload, then remove."""
        for name, source in staged.items():
            target = f"{self._base}/{name}"
            self.filesystem.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
            self.filesystem.put_file(str(source), target)
        for name in removed:
            if self.filesystem.exists(f"{self._base}/{name}"):
                self.filesystem.rm_file(f"{self._base}/{name}")


def folder_at(url: str, *, is_durable: bool = True) -> Folder:
    """The folder that a path or an fsspec URL names."""
    protocol, path = fsspec.core.split_protocol(url)
    if protocol in (None, "file", "local"):
        return LocalFolder(Path(path), is_durable=is_durable)
    try:
        return RemoteFolder(url)
    except (ImportError, ValueError) as error:  # no such protocol, or its package is not here
        raise ConfigError(
            f"the lake cannot be reached over {protocol}: {error}",
            where="RECON_LAKE_URL",
            expected="a folder, or a URL whose protocol fsspec has a package for",
            next_step=f"install that package: {_PACKAGES.get(str(protocol), 'the documentation of fsspec names it')}",
        ) from None


def remove_tree(path: Path) -> None:
    """Remove a folder and all below it; one that is gone already is no error."""
    shutil.rmtree(path, ignore_errors=True)


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
            raise
