"""README.md: its code does what it says. (The C program is tried in test_xor_example and test_make.)"""

import re
import subprocess
import sys
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


@pytest.mark.parametrize("name", ["main", "test"])
def test_readme_commands_are_one_line_each(name):
    assert block("sh", after=f"<!-- {name} command -->\n").count("\n") == 1


def test_readme_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_readme_and_header_give_one_command_for_c():
    command = re.search(r"cc -O3 (.*)", (ROOT / "csrc" / "plainnet.h").read_text()).group(1)
    assert command.replace("path/to/", "path/to/plainnet/").replace("(every .c file)", "*.c") in README
