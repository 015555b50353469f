"""The page of the playground: made of its present sources, small, sufficient, and opened by `plainnet playground`."""

import importlib.util
import re
import shutil
import webbrowser
from pathlib import Path

import pytest

from plainnet.cli import main

import playground_runs as runs

BUILD = Path(__file__).parents[1] / "playground" / "build.py"


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("playground_build", BUILD)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_made_of_its_present_sources(build):
    (made_of,) = re.findall(r"made by playground/build.py of sources (\w+)", runs.PAGE.read_text())
    assert made_of == build.sources_hash(), "the page is older than its sources: run python playground/build.py"
    scripts = runs.page_scripts()
    assert list(scripts) == re.findall(r'<script src="([\w.-]+)">', (BUILD.parent / "page.html").read_text())
    for name, text in scripts.items():
        if name != "wasm.js":
            assert text == build.without_comments((BUILD.parent / name).read_text()), name


def test_the_hash_tells_any_change_of_a_source(build, tmp_path, monkeypatch):
    for folder in ("csrc", "playground"):
        shutil.copytree(BUILD.parents[1] / folder, tmp_path / folder)
    for name, path in {"ROOT": tmp_path, "CSRC": tmp_path / "csrc", "HERE": tmp_path / "playground"}.items():
        monkeypatch.setattr(build, name, path)
    hashes = {build.sources_hash()}
    for name in ("csrc/network/forward.inc.c", "csrc/plainnet.h", "playground/page.html", "playground/libc/math.h"):
        path = tmp_path / name
        path.write_text(path.read_text() + " ")
        hashes.add(build.sources_hash())
    (tmp_path / "playground" / "new.js").write_text("")
    hashes.add(build.sources_hash())
    assert len(hashes) == 6
    (tmp_path / "playground" / "wasm.js").write_text("made by build.py")
    assert build.sources_hash() in hashes


def test_the_page_is_small_and_refers_to_nothing_outside():
    page = runs.PAGE.read_text()
    assert len(page.encode()) < 150_000
    assert re.findall(r'\s(?:src|href)="(?!#|data:)([^"]*)"', page) == []
    assert "@import" not in page
    assert "url(" not in page


@pytest.mark.skipif(
    shutil.which("clang") is None or shutil.which("wasm-ld") is None, reason="clang or wasm-ld is not installed"
)
def test_build_makes_the_page_from_a_clean_folder(build, tmp_path, monkeypatch, capsys):
    pytest.importorskip("zopfli", reason="needs the extra test-browser")
    page = tmp_path / "page" / "index.html"
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "CSRC", tmp_path / "csrc")
    monkeypatch.setattr(build, "HERE", tmp_path / "playground")
    monkeypatch.setattr(build, "PAGE", page)
    monkeypatch.setattr("sys.argv", ["build.py"])
    for folder in ("csrc", "playground"):
        shutil.copytree(BUILD.parents[1] / folder, tmp_path / folder, ignore=shutil.ignore_patterns("wasm.js"))
    build.main()
    made, shipped = page.read_text(), runs.PAGE.read_text()
    hash_of = re.compile(r"of sources (\w+)")
    assert hash_of.findall(made) == hash_of.findall(shipped)
    assert abs(len(made) - len(shipped)) < 10_000  # compilers differ
    assert "page/index.html: " in capsys.readouterr().out


def test_plainnet_playground_opens_the_page(monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    assert main(["playground"]) == 0
    assert opened == [runs.PAGE.resolve().as_uri()]
    assert capsys.readouterr().out == f"{runs.PAGE.resolve()}\n"


def test_plainnet_playground_path_opens_nothing(monkeypatch, capsys):
    monkeypatch.setattr(webbrowser, "open", lambda url: pytest.fail("a browser was opened"))
    assert main(["playground", "--path"]) == 0
    assert Path(capsys.readouterr().out.strip()) == runs.PAGE.resolve()


def test_plainnet_playground_without_a_browser_tells_where_the_page_is(monkeypatch, capsys):
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    assert main(["playground"]) == 1
    out, err = capsys.readouterr()
    assert out == f"{runs.PAGE.resolve()}\n"
    assert err == "plainnet playground: no browser can be opened here; open the file in one\n"


def test_plainnet_playground_says_that_the_page_is_missing(monkeypatch, capsys, tmp_path):
    from plainnet.cli import playground

    monkeypatch.setattr(playground, "PAGE", tmp_path / "index.html")
    assert main(["playground"]) == 1
    assert "the page is missing" in capsys.readouterr().err
