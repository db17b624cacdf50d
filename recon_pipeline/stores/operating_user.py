"""As whom PostgreSQL runs: as us, or, since it refuses to run as root, as root under another name.

Root has two ways. A user namespace shows root's own files as another user's, which works in every folder. Where the
system forbids namespaces (some containers do), the server runs as `nobody` and owns its folder, which works where
`nobody` can reach it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from recon_pipeline.errors import StoreError


@dataclass(frozen=True)
class OperatingUser:
    """How to run a program of PostgreSQL: a prefix of its command, and the user to become (None: stay)."""

    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None

    def run(self, command: list[str], output: IO[str]) -> int:
        """Run to the end, both streams into a file; the exit code."""
        # libpq's variables of whoever calls us are meant for other servers.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")} | {"LC_ALL": "C"}
        done = subprocess.run(
            [*self.prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            user=self.uid,
            group=self.gid,
            extra_groups=[] if self.uid is not None else None,
            cwd="/",
            check=False,
        )
        return done.returncode

    def own(self, path: Path) -> None:
        """Give a file or folder to the user that will run; a cluster that changed hands is handed over whole."""
        if os.geteuid() != 0:
            return
        uid, gid = (0, 0) if self.uid is None or self.gid is None else (self.uid, self.gid)
        if path.stat().st_uid == uid:
            return
        for each in (path, *(path.rglob("*") if path.is_dir() else ())):
            os.chown(each, uid, gid, follow_symlinks=False)


def operating_user(folder: Path, postgres: Path) -> OperatingUser:
    """As whom to run the server of a folder; StoreError if root has no way. `postgres` is the server's binary."""
    if os.geteuid() != 0:
        return OperatingUser()
    nobody = pwd.getpwnam("nobody")
    namespace = OperatingUser(prefix=("unshare", "--user", f"--map-user={nobody.pw_uid}"))
    if shutil.which("unshare") and _works(namespace, postgres):
        return namespace
    # initdb and the server need to pass through the folder, though not to list it: the passwords stay closed.
    folder.chmod(0o711)
    other = OperatingUser(uid=nobody.pw_uid, gid=nobody.pw_gid)
    if _works(other, postgres) and _reaches(other, folder):
        return other
    raise StoreError(
        "PostgreSQL refuses to run as root, and no other user can run it here",
        where=str(folder),
        expected="user namespaces, or programs and a data folder that the user nobody can reach",
        next_step="run as an ordinary user, or set RECON_HOME to a folder outside a closed home, "
        "or name a server with RECON_DATABASE_URL",
    )


def _works(user: OperatingUser, postgres: Path) -> bool:
    with Path(os.devnull).open("w") as nowhere:
        try:
            return user.run([str(postgres), "--version"], nowhere) == 0
        except OSError:
            return False


def _reaches(user: OperatingUser, folder: Path) -> bool:
    with Path(os.devnull).open("w") as nowhere:
        return user.run(["test", "-x", str(folder)], nowhere) == 0
