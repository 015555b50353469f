"""Saving is all or nothing: full disks, missing rights, Ctrl-C anywhere, kill -9, and two processes at once."""

import errno
import io
import os
import stat
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

import plainnet as pn
from plainnet import atomic

pytestmark = pytest.mark.skipif(os.name != "posix", reason="permissions, links and signals are those of POSIX")

OLD, NEW = b"the old file", b"the new file, which is longer"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder


@pytest.fixture(params=["there", "not there"])
def path(request, folder):
    """A path where there is the file OLD, or none."""
    path = folder / "model"
    if request.param == "there":
        path.write_bytes(OLD)
    return path


@pytest.fixture
def no_disk(monkeypatch):
    """Spares a test with many saves the wait for the disk."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def content(path):
    return path.read_bytes() if path.exists() else None


def run(script, *arguments, **options):
    """Runs a script in another process; its function `network` makes one whose parameters all have one value."""
    prelude = """
        import os, random, signal, sys, time
        import safetensors.numpy
        import plainnet as pn

        def network(value, n=1):
            net = pn.Network([pn.Dense(n, n)], init="uniform", seed=0)
            net.parameters[:] = value
            return net
    """
    command = [sys.executable, "-c", textwrap.dedent(prelude) + textwrap.dedent(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---- What is written, and where --------------------------------------------------------------------------------------


def test_write_replaces_the_file_and_leaves_no_other(path):
    atomic.write_atomically(str(path), NEW)
    assert path.read_bytes() == NEW
    assert os.listdir(path.parent) == ["model"]


def test_write_takes_a_path_in_the_working_directory(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    atomic.write_atomically("model", NEW)
    assert path.read_bytes() == NEW


def test_write_takes_the_longest_name_that_there_can_be(folder):
    path = folder / ("m" * os.pathconf(folder, "PC_NAME_MAX"))
    atomic.write_atomically(str(path), NEW)
    assert path.read_bytes() == NEW


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_write_keeps_the_permissions_of_the_file(folder, mode):
    path = folder / "model"
    path.write_bytes(OLD)
    path.chmod(mode)
    atomic.write_atomically(str(path), NEW)
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize("umask", [0o022, 0o077, 0])
def test_write_gives_a_new_file_the_permissions_of_any_new_file(folder, umask):
    before = os.umask(umask)
    try:
        atomic.write_atomically(str(folder / "model"), NEW)
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "model").stat().st_mode) == 0o666 & ~umask


def test_write_lets_nobody_read_the_data_before_they_have_the_permissions(folder, monkeypatch):
    path, seen = folder / "model", []
    path.write_bytes(OLD)
    path.chmod(0o600)
    fchmod = os.fchmod
    monkeypatch.setattr(os, "fchmod", lambda fd, mode: (seen.append(os.fstat(fd).st_mode), fchmod(fd, mode)))
    atomic.write_atomically(str(path), NEW)
    assert [stat.S_IMODE(mode) for mode in seen] == [0o600]


@pytest.mark.parametrize("is_there", [True, False])
def test_write_replaces_what_a_link_leads_to(folder, tmp_path, is_there):
    target, link = tmp_path / "elsewhere", folder / "model"
    if is_there:
        target.write_bytes(OLD)
    link.symlink_to("../elsewhere")
    atomic.write_atomically(str(link), NEW)
    assert link.is_symlink()
    assert target.read_bytes() == NEW
    assert os.listdir(folder) == ["model"]


def test_write_reaches_the_disk_before_the_name_does_and_the_name_before_it_returns(path, monkeypatch):
    events = []

    def recorded(name, real):
        def call(*arguments):
            if name == "fsync":
                events.append("folder" if stat.S_ISDIR(os.fstat(arguments[0]).st_mode) else "file")
            else:
                events.append(name)
            return real(*arguments)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, recorded(name, getattr(os, name)))
    atomic.write_atomically(str(path), NEW)
    assert events == ["file", "replace", "folder"]


# ---- What is refused -------------------------------------------------------------------------------------------------


def test_write_to_a_folder_that_is_not_there_is_refused(tmp_path):
    path = str(tmp_path / "none" / "model")
    with pytest.raises(FileNotFoundError) as caught:
        atomic.write_atomically(path, NEW)
    assert caught.value.filename == path


@pytest.mark.parametrize("name", ["", "new/"])
def test_write_to_a_folder_itself_is_refused(folder, name):
    with pytest.raises(IsADirectoryError):
        atomic.write_atomically(f"{folder}/{name}", NEW)
    assert os.listdir(folder) == []


def test_write_below_a_file_is_refused(folder):
    (folder / "model").write_bytes(OLD)
    with pytest.raises(NotADirectoryError):
        atomic.write_atomically(str(folder / "model" / "more"), NEW)
    assert (folder / "model").read_bytes() == OLD


def test_write_to_a_loop_of_links_is_refused(folder):
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic link"):
        atomic.write_atomically(str(folder / "a"), NEW)
    assert sorted(os.listdir(folder)) == ["a", "b"]


def test_write_to_what_is_no_regular_file_is_refused(folder):
    """A pipe stands for devices as well: root must not replace /dev/null by a model."""
    os.mkfifo(folder / "pipe")
    with pytest.raises(OSError, match="Not a regular file"):
        atomic.write_atomically(str(folder / "pipe"), NEW)
    assert stat.S_ISFIFO(os.stat(folder / "pipe").st_mode)
    assert os.listdir(folder) == ["pipe"]


@pytest.mark.parametrize("protected", ["folder", "file"])
def test_write_without_the_right_to_is_refused(tmp_path, protected):
    """As a user who is not root, whom no permissions stop."""
    done = run(
        """
        folder, protected = sys.argv[1:]
        path = os.path.join(folder, "model")
        network(1).save(path)
        net = network(2)
        if protected == "folder":
            os.chmod(path, 0o666)
            os.chmod(folder, 0o555)
        else:
            os.chmod(path, 0o444)
            os.chmod(folder, 0o777)
        os.chdir(folder)
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        try:
            net.save("model")
        except PermissionError as error:
            print(error.filename, os.listdir("."), pn.load("model").parameters[0])
        """,
        tmp_path,
        protected,
    )
    tmp_path.chmod(0o755)
    assert done == "model ['model'] 1.0\n"


# ---- Errors on the way -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["open", "fchmod", "fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_write_that_fails_leaves_the_old_file_and_no_other(path, monkeypatch, name, number):
    before = content(path)

    def fail(*arguments, **keywords):
        raise OSError(number, os.strerror(number), "the name of something else")

    monkeypatch.setattr(os, name, fail)
    if name == "fchmod" and before is None:
        return  # a new file is not given permissions
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        atomic.write_atomically(str(path), NEW)
    monkeypatch.undo()
    assert (caught.value.errno, caught.value.filename) == (number, str(path))
    assert content(path) == before
    assert os.listdir(path.parent) == ["model"] * (before is not None)


def test_write_goes_on_after_a_part(path, monkeypatch):
    """A system writes less than it is asked to near the end of a quota, and after 2 GiB."""

    class Stutter(io.FileIO):
        def write(self, data):
            return super().write(data[:3])

    def stutter(path, mode, buffering, opener):
        return Stutter(path, mode, opener=opener)

    monkeypatch.setattr(atomic, "open", stutter, raising=False)
    atomic.write_atomically(str(path), NEW)
    assert path.read_bytes() == NEW


def test_a_folder_that_cannot_be_synchronised_is_no_error(path, monkeypatch):
    fsync = os.fsync

    def refuse_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    atomic.write_atomically(str(path), NEW)
    assert path.read_bytes() == NEW


def test_save_to_a_full_disk_leaves_the_old_file(tmp_path):
    """A limit of the size of files stands for the disk: the system itself refuses to write on."""
    done = run(
        """
        import resource
        path = sys.argv[1]
        network(1).save(path)
        big = network(2, 300)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            big.save(path)
        except OSError as error:
            print(error.filename == path, pn.load(path).parameters[0])
        """,
        tmp_path / "model",
    )
    assert done == "True 1.0\n"
    assert os.listdir(tmp_path) == ["model"]


# ---- Interruptions ---------------------------------------------------------------------------------------------------


def interrupted_at(number, call):
    """Calls `call`; raises KeyboardInterrupt before the line of this number that runs in atomic.py, if there is one."""
    n = 0

    def trace(frame, event, argument):
        nonlocal n
        if frame.f_code.co_filename != atomic.__file__:
            return None
        if event == "line":
            n += 1
            if n == number:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


#: Python closes a file, and says so, if it is interrupted before, or after, anybody else is to close it.
closed_by_python = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@closed_by_python
@pytest.mark.usefixtures("no_disk")
def test_ctrl_c_at_any_line_leaves_the_old_file_or_the_new_one(path):
    before, number, found = content(path), 1, []

    def is_interrupted():
        """In a thread of its own: Python 3.11 keeps an exception as handled that another one from a tracer replaces."""
        results = []
        thread = threading.Thread(
            target=lambda: results.append(interrupted_at(number, lambda: atomic.write_atomically(str(path), NEW)))
        )
        thread.start()
        thread.join()
        return results[0]

    while is_interrupted():
        found.append(content(path))
        assert os.listdir(path.parent) == ["model"] * path.exists(), number
        path.unlink(missing_ok=True)
        if before is not None:
            path.write_bytes(before)
        number += 1
    n_old = found.count(before)
    assert found == [before] * n_old + [NEW] * (len(found) - n_old)
    assert n_old > 10
    assert len(found) - n_old > 5


@closed_by_python
@pytest.mark.parametrize("name", ["stat", "access", "open", "fchmod", "fsync", "replace", "unlink", "close"])
def test_ctrl_c_after_any_call_of_the_system_leaves_the_old_file_or_the_new_one(path, monkeypatch, name):
    before, real, calls = content(path), getattr(os, name), []

    def interrupted(*arguments, **keywords):
        calls.append(arguments)
        try:
            return real(*arguments, **keywords)
        finally:
            if len(calls) == 1:
                raise KeyboardInterrupt

    monkeypatch.setattr(os, name, interrupted)
    if before is None and name in ("access", "fchmod"):
        atomic.write_atomically(str(path), NEW)
        assert not calls
        return
    with pytest.raises(KeyboardInterrupt):
        atomic.write_atomically(str(path), NEW)
    monkeypatch.undo()
    assert content(path) == (NEW if name in ("replace", "unlink", "close") else before)
    assert os.listdir(path.parent) == ["model"] * path.exists()


def test_an_exception_of_a_signal_handler_is_passed_on(path, monkeypatch):
    before = content(path)

    def ring(descriptor):
        raise TimeoutError("it takes too long")

    monkeypatch.setattr(os, "fsync", ring)
    with pytest.raises(TimeoutError, match="it takes too long"):
        atomic.write_atomically(str(path), NEW)
    assert content(path) == before


KILLED = """
    path, n_rounds, rng = sys.argv[1], int(sys.argv[2]), random.Random(3)
    net, last, n_changed, n_left = network(0, 300), 0, 0, 0
    net.save(path)
    for k in range(n_rounds):
        child = os.fork()
        if child == 0:
            while True:
                net.parameters[:] += 1
                net.save(path)
        time.sleep(rng.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        found = pn.load(path).parameters                     # whole, or this is a ModelFormatError
        assert (found == found[0]).all() and found[0] == int(found[0]) >= 0
        n_changed += found[0] != last
        net.parameters[:] = last = found[0]
        for name in os.listdir(os.path.dirname(path)):
            if name != os.path.basename(path):
                assert name.startswith(".plainnet-"), name
                os.unlink(os.path.join(os.path.dirname(path), name))
                n_left += 1
    print(n_changed, n_left)
"""


@pytest.mark.parametrize("n_rounds", [40, pytest.param(300, marks=pytest.mark.slow)])
def test_kill_9_during_saves_leaves_a_readable_file_each_time(folder, n_rounds):
    n_changed, n_left = map(int, run(KILLED, folder / "model", n_rounds).split())
    assert n_changed > 0  # so saves have ended
    assert n_left > 0  # and have been cut off


def test_two_processes_that_save_to_one_path_leave_one_whole_file(folder):
    path = folder / "model"
    done = run(
        """
        path, children = sys.argv[1], []
        for value in (1, 2):
            children.append(os.fork())
            if children[-1] == 0:
                net = network(value, 200)
                for _ in range(30):
                    net.save(path)
                os._exit(0)
        while not os.path.exists(path):
            time.sleep(0.001)
        seen, running = set(), set(children)
        while running:
            values = set(pn.load(path).parameters)
            assert len(values) == 1, values
            seen |= values
            for child in list(running):
                ended, status = os.waitpid(child, os.WNOHANG)
                if ended:
                    assert status == 0
                    running.remove(child)
        print(sorted(map(float, seen)))
        """,
        path,
    )
    assert done == "[1.0, 2.0]\n"
    assert os.listdir(folder) == ["model"]
    assert np.isin(pn.load(path).parameters, [1, 2]).all()
