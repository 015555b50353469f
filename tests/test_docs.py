"""The extensions of docs/, where Sphinx is installed; its pictures; and the examples in docstrings."""

import argparse
import doctest
import importlib
import io
import re
import sys
from pathlib import Path

import pytest

import plainnet

import pages


@pytest.fixture
def extension(monkeypatch):
    """Imports one of the extensions by its name."""
    pytest.importorskip("sphinx", reason="needs the extra docs")
    monkeypatch.syspath_prepend(str(pages.DOCS / "extensions"))

    def load(name):
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return load


def test_docstrings_with_examples_are_right():
    pytest.importorskip("sklearn", reason="examples need the extra sklearn")
    folder = Path(plainnet.__file__).parent
    names = [
        ".".join(["plainnet", *path.relative_to(folder).with_suffix("").parts]).removesuffix(".__init__")
        for path in sorted(folder.rglob("*.py")) if ">>> " in path.read_text()
    ]  # fmt: skip
    assert len(names) >= 2
    for name in names:
        result = doctest.testmod(importlib.import_module(name))
        assert result.failed == 0
        assert result.attempted > 0


def test_reference_of_c_has_all_that_the_header_declares(extension):
    header = (pages.ROOT / "csrc" / "plainnet.h").read_text()
    page = "\n".join(extension("c_header").page(header))
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    functions = set(re.findall(r"\b(pn_\w+)\(", code))
    assert functions == set(re.findall(r"c:function::.*?\b(pn_\w+)\(", page))
    enumerators = set(re.findall(r"c:enumerator:: (\w+)", page))
    assert set(re.findall(r"^\s+(PN_[A-Z0-9_]+)\b", code, re.MULTILINE)) <= enumerators
    assert set(re.findall(r"\} (pn_\w+);", code)) == set(re.findall(r"c:(?:struct|enum):: (\w+)", page))
    for words in ("a pointer that must point to something is NULL", "The caller owns every buffer", "f(z) = z Phi(z)"):
        assert words in page


def test_reference_of_c_takes_comments_to_what_they_are_about(extension):
    header = """
/* ---- Part --- */
/* Before both. */
int pn_a(void); /* of a, which
                   goes on */
int pn_b(double *x);
typedef struct pn_s {
    double u, *v; /* of u and v */
    int w;
} pn_s;
"""
    lines = [line for line in extension("c_header").page(header) if line.strip()]
    assert lines == [
        "Part", "----", "Before both.", ".. c:function:: int pn_a(void)", "   of a, which goes on",
        ".. c:function:: int pn_b(double *x)", ".. c:struct:: pn_s", "   .. c:member:: double u",
        "                 double *v", "      of u and v", "   .. c:member:: int w",
    ]  # fmt: skip


def test_reference_of_c_links_what_there_is(extension):
    header = "/* pn_a and pn_b, a[n][m of the\n   layer][k] (pn_a)(x)[0], 2 * 3. */\nint pn_a(void);\n"
    first = next(line for line in extension("c_header").page(header) if line)
    assert first == ":c:expr:`pn_a` and ``pn_b``, ``a[n][m of the layer][k]`` (:c:expr:`pn_a`)(x)[0], 2 \\* 3."


@pytest.mark.parametrize("text", ["#define A 1\nint f(void) { return 1; }\n", "union u;\n", "int x;\n"])
def test_reference_of_c_refuses_what_it_cannot_read(extension, text):
    with pytest.raises(ValueError, match="line 1"):
        extension("c_header").page(text)


def test_reference_of_the_command_line_has_every_option(extension):
    parser = argparse.ArgumentParser("tool do", description="Does `it`, *all* of it.", epilog="Done.")
    parser.add_argument("file", metavar="FILE", help="to read")
    parser.add_argument("-n", "--number", type=int, default=3, metavar="N", help="how many_ (default %(default)s)")
    lines = [line for line in extension("command_line").page(parser) if line]
    assert lines[:2] == ["tool do", "-------"]
    *argument, option, about, end = lines[lines.index("Does ``it``, \\*all\\* of it.") + 3 :]
    assert argument == [".. option:: FILE", "   to read"]
    assert option in (".. option:: -n N, --number N", ".. option:: -n, --number N")  # the latter from Python 3.13 on
    assert (about, end) == ("   how many\\_ (default 3)", "Done.")


def test_links_are_checked(extension, tmp_path):
    (tmp_path / "a.html").write_text(
        '<a id="here" href="#here"></a><a href="b.html#there"></a><a href="https://example.org/x"></a>'
        '<img src="data:image/png;base64,AA"><link rel="stylesheet" href="a.css"><link rel="index" href="#">'
    )
    (tmp_path / "b.html").write_text('<p id="there"></p>')
    (tmp_path / "a.css").write_text("p { background: url(a.css) }")
    assert list(extension("links").problems(tmp_path)) == []


@pytest.mark.parametrize(
    ("html", "problem"),
    [
        ('<a href="c.html"></a>', "links to 'c.html', which is not there"),
        ('<a href="#nowhere"></a>', "the page has no place of this name"),
        ('<a href="https:/example.org"></a>', "which is no address"),
        ('<a href="https://exam ple"></a>', "which is no address"),
        ('<script src="https://example.org/a.js"></script>', "must load nothing from elsewhere"),
        ('<img src="//example.org/a.png">', "must load nothing from elsewhere"),
        ('<img srcset="a.png 1x, https://example.org/a.png 2x">', "must load nothing from elsewhere"),
        ('<link rel="preload stylesheet" href="c.css">', "loads c.css, which is not there"),
    ],
)
def test_links_that_are_wrong_are_found(extension, tmp_path, html, problem):
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "a.html").write_text(html)
    [(path, found)] = extension("links").problems(tmp_path)
    assert path.name == "a.html"
    assert problem in found


def test_style_sheets_that_load_from_elsewhere_are_found(extension, tmp_path):
    (tmp_path / "a.css").write_text('@import "https://example.org/a.css";')
    [(_, found)] = extension("links").problems(tmp_path)
    assert "loads https://example.org/a.css" in found


def test_pictures_are_drawn_for_light_and_dark():
    pytest.importorskip("matplotlib")
    sys.path.insert(0, str(pages.DOCS))
    try:
        import pictures
    finally:
        sys.path.remove(str(pages.DOCS))
    shown = pictures.show(lambda ax: ax.plot([1, 2]), 'a "line"')._repr_html_()
    assert shown.count("<img ") == 2
    assert shown.count('alt="a &quot;line&quot;"') == 2
    light, dark = re.findall(r'class="only-(?:light|dark)" src="([^"]+)"', shown)
    assert light != dark
    with pytest.raises(ValueError, match="alt must say"):
        pictures.show(lambda ax: None, " ")
    with pytest.raises(ValueError, match="format must be"):
        pictures.show(lambda ax: None, "nothing", format="pdf")


@pytest.mark.parametrize(("lines", "status", "printed"), [("echo a; pwd", 0, "a\n/home/you"), ("exit 3", 3, "")])
def test_commands_are_run_and_what_they_print_is_shown(extension, tmp_path, lines, status, printed):
    assert build(extension, tmp_path, f"```{{terminal}}\n:status: {status}\n{lines}\n```") == ""
    assert printed in re.sub("<[^>]*>", "", (tmp_path / "out" / "index.html").read_text())


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ("```{terminal}\necho before; false\n```", "exit status 1 of"),
        ("```{terminal}\n:status: 1\nno-such-command\n```", "exit status 127 of"),
        ("```{file} ../a.c\nint a;\n```", "file must be a name that ends with one of"),
        ("$\\nonsense$", "cannot read the equation"),
    ],
)
def test_pages_that_are_wrong_are_not_built(extension, tmp_path, block, problem):
    assert problem in build(extension, tmp_path, block)


def test_files_are_there_for_the_commands(extension, tmp_path):
    commands = "cat a.csv; test -e plainnet/csrc/plainnet.h; ls examples/xor.c"
    blocks = f"```{{file}} a.csv\n1,2\n```\n\n```{{terminal}}\n{commands}\n```"
    assert build(extension, tmp_path, blocks) == ""
    assert (tmp_path / "out" / "index.html").read_text().count("1,2") == 2


def build(extension, folder, text):
    """Builds a page; returns the warnings, or the error that ends the build."""
    pytest.importorskip("myst_parser", reason="needs the extra docs")
    extension("terminal")
    extension("mathml")
    from sphinx.application import Sphinx
    from sphinx.errors import ExtensionError
    from sphinx.util.docutils import docutils_namespace

    (folder / "index.md").write_text(f"# A page\n\n{text}\n")
    settings = {"extensions": ["myst_parser", "mathml", "terminal"], "myst_enable_extensions": ["dollarmath"]}
    warnings = io.StringIO()
    with docutils_namespace():
        app = Sphinx(
            folder, None, folder / "out", folder / "trees", "html", status=None, warning=warnings,
            confoverrides={**settings, "html_math_renderer": "mathml", "html_theme": "basic"},
        )  # fmt: skip
        try:
            app.build()
        except ExtensionError as error:
            return str(error)
    return warnings.getvalue()
