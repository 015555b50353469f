"""README.md: its code does what it says; and each folder's names every file. (test_xor_example and test_make try C.)"""

import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def block(language, after=""):
    return re.search(rf"{after}```{language}\n(.*?)```", README, flags=re.DOTALL).group(1)


def test_readme_python_example_runs(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", block("python")], capture_output=True, text=True, cwd=tmp_path, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert "the backends agree" in done.stdout
    assert "the gradient agrees" in done.stdout


@pytest.mark.parametrize("name", ["main", "test", "docs"])
def test_readme_commands_are_one_line_each(name):
    assert block("sh", after=f"<!-- {name} command -->\n").count("\n") == 1


def test_readme_links_lead_somewhere():
    headings = {"#" + title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.*)$", README, re.MULTILINE)}
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert target in headings or (ROOT / target).exists(), target


def test_readme_is_one_page():
    assert README.count("\n") < 100


def test_readme_and_header_give_one_command_for_c():
    command = re.search(r"cc -O3 (.*)", (ROOT / "csrc" / "plainnet.h").read_text()).group(1)
    assert command.replace("path/to/", "path/to/plainnet/").replace("(every .c file)", "*.c") in README


#: Folders, and the file that names all of theirs: by path, by a pattern, or by name in a passage that names the folder.
MAPS = {
    "csrc": "csrc/README.md",
    "tests": "tests/README.md",
    "benchmarks": "benchmarks/README.md",
    "docs": "docs/README.md",
    "examples": "examples/README.md",
    **dict.fromkeys(["python/cpython", "python/plainnet"], "python/README.md"),
}


def passages(text):
    """The words of each paragraph and of each row of a table; `a.c/.h` stands for two files."""
    text = re.sub(r"(\w+)\.(\w+)/\.(\w+)", r"\1.\2 \1.\3", text)
    return [set(re.findall(r"[\w*./-]*[\w/]", passage)) for passage in re.split(r"\n\s*\n|\n(?=\|)", text)]


def is_named(path, words):
    folder = f"{path.parent}/"
    if folder in words and path.name.split(".")[0] == path.parent.name:  # it includes the other files of its folder
        return True
    names = [str(path), path.name] if folder in words or folder == "./" else [str(path)]
    return any(fnmatch(name, word) for name in names for word in words if not word.startswith("*"))


@pytest.mark.parametrize("folder", MAPS)
def test_every_file_is_on_the_map(folder):
    start = ROOT / MAPS[folder]
    files = [
        path.relative_to(start.parent) for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.name != "README.md" and path.suffix not in (".so", ".pyd", ".pyc")
    ]  # fmt: skip
    assert len(files) > 0
    text = passages(start.read_text())
    assert [str(path) for path in files if not any(is_named(path, words) for words in text)] == []
