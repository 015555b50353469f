"""
The directive c-header: the interface of a C library, from its header.

It knows what stands in csrc/plainnet.h, and nothing more of C: comments, functions without bodies, and enumerations and
structures that are defined where they are named. A comment before declarations is about all of them up to the next one;
a comment on the line of a declaration, or of a member, is about that. What it cannot read is an error of the build.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

COMMENT = r"/\*.*?\*/"
SECTION = re.compile(r"/\* -+ (?P<title>.*?) -+ \*/")
#: In the order in which they are tried.
TOKENS = {
    "space": re.compile(r"\s+"),
    "section": SECTION,
    "comment": re.compile(COMMENT, re.DOTALL),
    "type": re.compile(r"typedef (?P<kind>enum|struct) (?P<name>\w+) \{(?P<body>.*?)\n\} (?P=name);", re.DOTALL),
    "constants": re.compile(r"enum \{(?P<body>[^{}]*)\};"),
    "function": re.compile(r"(?P<signature>[a-z][\w\s*]*?\b\w+\([^()]*\));"),
}
#: In comments: a name of the interface, which becomes a link; an array with its shape, or a power.
NAME, CODE = r"\b(?:pn|PN)_\w*[a-zA-Z0-9]\b", r"\b\w+(?:\[[^\]]*\])+"
TERM = re.compile(r" +(?P<term>\S+(?: \S+)*?) {2,}(?P<text>[^\s=].*)")


class Token(NamedTuple):
    kind: str
    match: re.Match[str]
    begins_line: bool


def tokens(text: str) -> Iterator[Token]:
    position, begins_line = 0, True
    while position < len(text):
        found = ((kind, pattern.match(text, position)) for kind, pattern in TOKENS.items())
        kind, match = next((pair for pair in found if pair[1]), ("", None))
        if match is None:
            line = text.count("\n", 0, position) + 1
            raise ValueError(f"line {line} without the preprocessor's lines: {text[position : position + 60]!r}...")
        if kind == "space":
            begins_line = begins_line or "\n" in match.group()
        else:
            yield Token(kind, match, begins_line)
            begins_line = False
        position = match.end()


def without_preprocessor(text: str) -> str:
    """What is for the compiler alone goes: #if, #define, and the braces of extern "C"."""
    text = re.sub(r'#ifdef __cplusplus\n(extern "C" \{|\})\n#endif\n', "", text)
    return re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)


def escaped(text: str) -> str:
    """`text` as reStructuredText, with links to what it names, whether that exists or not."""

    def replace(match: re.Match[str]) -> str:
        word = match.group()
        if len(word) == 1:
            return "\\" + word
        marked = f":c:expr:`{word}`" if re.fullmatch(NAME, word) else f"``{word.strip('`')}``"
        return marked + ("\\ " if re.match(r"[\w(\[]", text[match.end() :]) else "")  # else the markup would not end

    return re.sub(rf"{NAME}|{CODE}|`[^`]+`|[*_|`\\]", replace, text)


def terms(block: list[str]) -> list[str] | None:
    """Lines of words, spaces and what they mean as a list of definitions; None if they are not such lines."""
    first = TERM.match(block[0])
    if not first:
        return None
    column, result = first.start("text"), []
    for line in block:
        match = TERM.match(line)
        if match and match.start("text") == column:
            result += ["", escaped(match["term"]), f"   {escaped(match['text'])}"]
        elif line[:column].strip():
            return None
        else:
            result.append(f"   {escaped(line.strip())}")
    return [*result, ""]


def paragraphs(comment: str) -> list[str]:
    """The text of a comment in reStructuredText; lines that are set in stay lines, or become a list."""
    lines = comment.removeprefix("/*").removesuffix("*/").split("\n")
    if all(re.match(r"\s*\*|\s*$", line) for line in lines[1:]):  # a star at the beginning of each line
        lines = [lines[0].strip(), *(re.sub(r"^\s*\* ?", "", line) for line in lines[1:])]
    else:
        lines = [line.strip() for line in lines]
    result: list[str] = []
    for is_set_in, group in itertools.groupby(lines, lambda line: line.startswith("  ") and bool(line.strip())):
        block = list(group)
        listed = terms(block) if is_set_in else None
        if listed:
            result += listed
        elif is_set_in and not (result and result[-1] and not result[-1].endswith((":", "."))):
            result += ["", "::", "", *indented(block), ""]
        else:  # also where a sentence goes on
            for is_text, some in itertools.groupby(block, lambda line: bool(line.strip())):
                result.append(escaped(" ".join(line.strip() for line in some)) if is_text else "")
    return result


def indented(lines: list[str], by: str = "   ") -> list[str]:
    return [by + line if line else "" for line in lines]


def signature(text: str) -> str:
    return " ".join(text.split())


def names(declaration: str) -> list[str]:
    """`double a, *b` as `double a` and `double *b`."""
    first, *others = (part.strip() for part in declaration.split(","))
    kind = re.match(r"(.*?)\**\w+$", first)
    if kind is None:
        raise ValueError(f"a member that is no declaration: {declaration!r}")
    return [first, *(kind.group(1) + other for other in others)]


def members(body: str, kind: str) -> list[str]:
    """Of an enumeration or a structure, in reStructuredText."""
    lines: list[str] = []
    separator = {"enum": ",", "struct": ";"}[kind]
    pattern = re.compile(rf"\s*(?:(?P<comment>{COMMENT})|(?P<text>[^{separator}/]+)(?P<end>{separator}|))", re.DOTALL)
    position, pending = 0, False  # whether a member waits for its comment
    body = body.rstrip()
    while position < len(body):
        match = pattern.match(body, position)
        if match is None:
            raise ValueError(f"in a type: {body[position : position + 60]!r}")
        between = match.group()[: len(match.group()) - len(match.group().lstrip())]
        if match["comment"]:
            about_member = pending and "\n" not in between
            lines += ["", *indented(paragraphs(match["comment"]), "   " if about_member else ""), ""]
            pending = False
        else:
            text = signature(match["text"])
            if kind == "enum":
                lines += ["", f".. c:enumerator:: {text}"]
            else:
                first, *others = names(text)
                lines += ["", f".. c:member:: {first}", *(f"              {other}" for other in others)]
            pending = True
        position = match.end()
    return lines


def page(header: str) -> list[str]:
    """The interface that a header declares, in reStructuredText."""
    lines: list[str] = []
    about: list[str] = []  # the comment that stands before a declaration
    for kind, match, begins_line in tokens(without_preprocessor(header)):
        if kind == "section":
            lines += ["", *about, "", match["title"], "-" * len(match["title"]), ""]
            about = []
        elif kind == "comment" and not begins_line:
            lines += ["", *indented(paragraphs(match.group())), ""]
        elif kind == "comment":
            lines += ["", *about, ""]
            about = paragraphs(match.group())
        elif kind == "function":
            lines += ["", *about, "", f".. c:function:: {signature(match['signature'])}"]
            about = []
        elif kind == "constants":
            lines += ["", *about, *members(match["body"], "enum")]
            about = []
        else:
            lines += ["", *about, "", f".. c:{match['kind']}:: {match['name']}", ""]
            lines += indented(members(match["body"], match["kind"]))
            about = []
    text = "\n".join([*lines, "", *about, ""])
    declared = set(re.findall(r"c:(?:enum|enumerator|struct):: (\w+)|c:function::.*?(\w+)\(", text))
    known = {name for pair in declared for name in pair}
    links = re.sub(r":c:expr:`(\w+)`", lambda match: match[0] if match[1] in known else f"``{match[1]}``", text)
    return links.split("\n")


class CHeaderDirective(SphinxDirective):
    """The interface, from the header at a path that is relative to the root of the sources."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        path = Path(__file__).parents[2] / self.arguments[0]
        self.env.note_dependency(str(path))
        try:
            lines = page(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise self.error(f"{path.name}: cannot read {error}") from error
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("c-header", CHeaderDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
