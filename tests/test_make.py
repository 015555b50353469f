"""How README.md and docs/how_to/c.md compile C, from a folder of the user's own; what the Makefile installs."""

import re
import shutil

import pytest

import pages
import toolchain
from test_readme import block

needs_make = pytest.mark.skipif(not (shutil.which("make") and shutil.which("pkg-config")), reason="needs pkg-config")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(toolchain.SANITIZERS), reason="compiles with flags of its own"),
    pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler called cc"),
]
PLAINNET = "path/to/plainnet"
PAGE = "how_to/c.md"


def user_folder(folder):
    shutil.copytree(toolchain.CSRC, folder / PLAINNET / "csrc")
    for file in ("Makefile", "pyproject.toml"):
        shutil.copy(toolchain.ROOT / file, folder / PLAINNET)
    (folder / "plainnet").symlink_to(folder / PLAINNET)  # as the page has it
    (folder / "app.c").write_text(pages.block(PAGE, "{file} app.c"))
    return folder


def run(*command, **arguments):
    result = toolchain.run(*command, **arguments)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def compile_with(commands, folder):
    run("sh", "-ec", commands, cwd=folder)
    assert run("./app", cwd=folder).startswith("success; the last loss is 0.0")


def test_readme_cc_command_works_from_a_folder_of_the_users_own(tmp_path):
    compile_with(block("sh", after="<!-- cc command -->\n"), user_folder(tmp_path))


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    """A folder where the page's make command has run."""
    folder = user_folder(tmp_path_factory.mktemp("user"))
    compile_with(pages.block(PAGE, "sh", after="make command"), folder)
    return folder


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


@needs_make
def test_make_installs_both_libraries_with_header_and_pkg_config(user):
    installed = files(user / "local")
    shared = {file for file in installed if ".so" in file or ".dylib" in file}
    assert len(shared) == 2  # one is a link
    assert installed - shared == {"include/plainnet.h", "lib/libplainnet.a", "lib/pkgconfig/plainnet.pc"}
    assert {path.name for path in (user / PLAINNET).iterdir()} == {"csrc", "Makefile", "pyproject.toml", "build"}
    assert files(user / PLAINNET / "csrc") == files(toolchain.CSRC)


def symbols(*arguments):
    lines = [line.split() for line in run("nm", *arguments).splitlines()]
    return {line[2] for line in lines if len(line) == 3}


@needs_make
@pytest.mark.skipif(not shutil.which("nm"), reason="needs nm")
def test_shared_library_exports_what_the_header_declares_and_nothing_else(user):
    header = re.sub(r"/\*.*?\*/", "", (toolchain.CSRC / "plainnet.h").read_text(), flags=re.DOTALL)
    declared = set(re.findall(r"\b(pn_\w+)\(", header))
    assert "pn_train_f64" in declared
    assert symbols("-D", "--defined-only", user / "local" / "lib" / "libplainnet.so") == declared


@needs_make
def test_program_links_with_the_static_library(user, tmp_path):
    local = user / "local" / "lib"
    where = {"PKG_CONFIG_PATH": str(local / "pkgconfig")}
    options = run("pkg-config", "--static", "--cflags", "--libs", "plainnet", environment=where)
    static = [local / "libplainnet.a" if option == "-lplainnet" else option for option in options.split()]
    run("cc", *toolchain.WARNINGS, user / "app.c", *static, "-o", tmp_path / "app")
    assert run(tmp_path / "app").startswith("success")  # there is no path by which it would find the shared one


@needs_make
def test_make_compiles_again_if_flags_change_and_not_for_another_prefix(user, tmp_path):
    make = ["make", "-C", user / PLAINNET]
    staged = run(*make, "install", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    assert " -c " not in staged
    assert "prefix=/usr\n" in (tmp_path / "usr/lib/pkgconfig/plainnet.pc").read_text()
    assert files(tmp_path / "usr") == files(user / "local")
    other = run(*make, "CFLAGS=-O1", "build/c/shuffle.o")
    assert " -O1 " in other
    assert " -O1 " not in run(*make, "CFLAGS=-O1", "build/c/shuffle.o")
    run(*make, "clean")
    assert not (user / PLAINNET / "build" / "c").exists()
