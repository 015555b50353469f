"""README.md: its code does what it says."""

import os
import re
import shutil
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
        [sys.executable, "-c", block("python")], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "the backends agree" in done.stdout
    assert "the gradient agrees" in done.stdout


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_readme_c_example_compiles_and_runs(tmp_path):
    (tmp_path / "app.c").write_text(block("c"))
    compiler, *arguments = block("sh", after="```\n\n").split()
    assert arguments[-2:] == ["-o", "app"]
    sources = sorted(map(str, (ROOT / "csrc").glob("*.c")))
    expanded = [word for argument in arguments for word in (sources if argument == "csrc/*.c" else [argument])]
    expanded = [f"-I{ROOT / 'csrc'}" if word == "-Icsrc" else word for word in expanded]
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}  # of a sanitizer run
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    subprocess.run([compiler, *warnings, *expanded], check=True, cwd=tmp_path, env=environment)
    done = subprocess.run([tmp_path / "app"], capture_output=True, text=True, check=True, timeout=60)
    assert float(done.stdout.split()[-1]) < 0.1, done.stdout


@pytest.mark.parametrize("name", ["main", "test"])
def test_readme_commands_are_one_line_each(name):
    assert block("sh", after=f"<!-- {name} command -->\n").count("\n") == 1


def test_readme_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target
