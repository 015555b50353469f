"""Writes a file as a whole or not at all, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import errno
import os
import stat


def write_atomically(path: str, data: bytes | bytearray) -> None:
    """
    Writes `data` to `path`, in place of what is there.

    The data go to a temporary file in the same folder, and from there to the disk; then that file takes the place of
    the old one, and the folder goes to the disk, if it may be read. Whoever opens `path` finds the old file or the new
    one, and after an exception or a loss of power one of them is there. A process that is killed meanwhile can leave
    the temporary file, whose name is ``.plainnet-`` and 16 hexadecimal digits; after an exception it is gone.

    The new file has the permissions of the old one or, if there is none, those that any new file gets. If `path` is a
    symbolic link, the file that it leads to is replaced.

    Raises
    ------
    OSError
        As for ``open(path, "wb")``: if the folder is not there or may not be written, if `path` is a folder, or a file
        that may not be written, or if the disk is full. Also if `path` is no regular file, as a pipe or a device.
    """
    target = os.path.realpath(path) if os.path.islink(path) else path
    folder = os.path.dirname(target) or os.curdir
    temporary = os.path.join(folder, f".plainnet-{os.urandom(8).hex()}")
    try:
        _write(temporary, data, _mode_of(target))
        os.replace(temporary, target)
    except OSError as error:
        if error.errno is None:  # a signal handler's TimeoutError
            raise
        # It names the temporary file, of which the caller knows nothing.
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
    _sync_folder(folder)


def check_replaceable(path: str) -> None:
    """
    Raises the OSError of :func:`write_atomically` where it is known before: to be called ahead of long work.

    A disk may be full nevertheless, or permissions change.
    """
    if not path:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    target = os.path.realpath(path) if os.path.islink(path) else path
    folder = os.path.dirname(target) or os.curdir
    if not stat.S_ISDIR(os.stat(folder).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder)
    _mode_of(target)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)


def _mode_of(path: str) -> int | None:
    """The permissions of the file that is there; None if there is none. Refuses what must not be replaced."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if path.endswith(("/", os.sep)):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path) from None
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Not a regular file, and so cannot be replaced", path)
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    return stat.S_IMODE(mode)


def _write(path: str, data: bytes | bytearray, mode: int | None) -> None:
    """Writes `data` to the new file `path`, and to the disk. Nobody else may read it before it has its `mode`."""

    def create(name: str, flags: int) -> int:
        return os.open(name, flags, 0o666 if mode is None else 0o600)

    with open(path, "xb", buffering=0, opener=create) as file:
        rest = memoryview(data)
        while len(rest) > 0:
            rest = rest[file.write(rest) :]
        if mode is not None and hasattr(os, "fchmod"):
            os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())


def _sync_folder(folder: str) -> None:
    """Brings the names in `folder` to the disk, where the system can do so and the folder may be read."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that cannot
            raise
    finally:
        os.close(descriptor)
