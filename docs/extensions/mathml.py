"""Equations as MathML, which browsers draw themselves, in the colour of the text: no script, no font, no request."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError


def convert(self: Any, node: nodes.Element, as_block: bool) -> str:
    try:
        return str(tex2mathml(node.astext(), as_block=as_block))
    except Exception as error:  # docutils raises MathError, SyntaxError and others
        page = self.builder.current_docname
        raise ExtensionError(f"{page}: cannot read the equation {node.astext()!r}: {error}") from error


def visit_inline(self: Any, node: nodes.Element) -> None:
    self.body.append(convert(self, node, as_block=False))
    raise nodes.SkipNode


def visit_block(self: Any, node: nodes.Element) -> None:
    self.body.append(f'<div class="math">{convert(self, node, as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
