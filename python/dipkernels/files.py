"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of `path` when all is written and on the disk.

    Where that fails, or the process is killed, `path` stays as it was and nothing else is left: the new file has no
    name before it is whole, where the file system can do that. OSError that names `path` where it cannot be written.
    """
    target = Path(os.path.realpath(path))  # a link stays one
    unfinished = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished.unlink(missing_ok=True)
        nameless = _nameless(target.parent)
        with nameless or unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if nameless:
                _give_name(file, unfinished)
        unfinished.replace(target)
        _sync(target.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            raise type(error)(error.errno, error.strerror, str(path)) from error
        raise


def _nameless(folder: Path) -> BinaryIO | None:
    """A file in that folder which is gone when it is closed, unless it gets a name; None where there is no such thing.

    What else may be wrong an ordinary file says then.
    """
    if not Path("/proc/self/fd").is_dir():  # it gets its name from there
        return None
    try:
        return os.fdopen(os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o666), "wb")
    except OSError:  # NFS, for one
        return None


def _give_name(file: BinaryIO, path: Path) -> None:
    with _opened(path.parent) as folder:  # with a folder given, link() follows what /proc has
        os.link(f"/proc/self/fd/{file.fileno()}", path.name, src_dir_fd=folder, dst_dir_fd=folder)


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _sync(folder: Path) -> None:
    """Brings the new name to the disk too, where the file system does that."""
    with _opened(folder) as descriptor, contextlib.suppress(OSError):
        os.fsync(descriptor)


def write_text(path: str | Path, text: str) -> None:
    """Writes the text, as `whole_file` does."""
    with whole_file(path) as file:
        file.write(text.encode())
