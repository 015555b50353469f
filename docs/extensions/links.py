"""
Checks the pages that have been written: that every link leads to a file, and to a place in it; that a link to elsewhere
has the form of one; and that no page loads anything from elsewhere, so that all of them work from disk.

Whether links to elsewhere are alive is asked by `sphinx-build -b linkcheck docs build/linkcheck`, which needs the net.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)

#: Attributes whose files a browser loads by itself.
LOADED = {
    ("audio", "src"), ("embed", "src"), ("iframe", "src"), ("img", "src"), ("img", "srcset"), ("input", "src"),
    ("object", "data"), ("script", "src"), ("source", "src"), ("source", "srcset"), ("video", "poster"),
    ("video", "src"),
}  # fmt: skip
#: The relations of <link> with which a browser loads a file.
LOADING = {"icon", "manifest", "modulepreload", "prefetch", "preload", "stylesheet"}
#: What a style sheet loads from elsewhere.
FROM_ELSEWHERE = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""")


class Page(HTMLParser):
    """The links of a page, what it loads, and the places in it that links may lead to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.places: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.places.add(value)
            elif tag == "a" and name == "href":
                self.links.append(value or "")
            elif (tag, name) in LOADED and value:
                self.loaded += [url.split()[0] for url in value.split(",")] if name == "srcset" else [value]
        given = dict(attrs)
        if tag == "link" and LOADING & set((given.get("rel") or "").lower().split()):
            self.loaded.append(given.get("href") or "")


def is_well_formed(url: str) -> bool:
    """Whether a link to elsewhere can be one."""
    parts = urlsplit(url)
    if parts.scheme == "mailto":
        return re.fullmatch(r"[^@\s]+@[^@\s]+\.\w+", parts.path) is not None
    return parts.scheme in ("http", "https") and re.fullmatch(r"[\w-]+(\.[\w-]+)+", parts.hostname or "") is not None


def problems(folder: Path) -> Iterator[tuple[Path, str]]:
    """What is wrong with the pages in a folder, page by page."""
    for path in sorted(folder.rglob("*.css")):
        for url in FROM_ELSEWHERE.findall(path.read_text(encoding="utf-8")):
            yield path, f"loads {url}, and must load nothing from elsewhere"
    pages = {path.resolve(): Page(path) for path in sorted(folder.rglob("*.html"))}
    for path, page in pages.items():
        for url in page.loaded:
            if url.startswith("data:"):
                continue
            if urlsplit(url).scheme or url.startswith("//"):
                yield path, f"loads {url}, and must load nothing from elsewhere"
            elif not (path.parent / unquote(urlsplit(url).path)).is_file():
                yield path, f"loads {url}, which is not there"
        for url in page.links:
            if urlsplit(url).scheme:
                if not is_well_formed(url):
                    yield path, f"links to {url!r}, which is no address"
                continue
            target, place = urldefrag(url)
            file = (path.parent / unquote(urlsplit(target).path)).resolve() if target else path
            if not file.is_file():
                yield path, f"links to {url!r}, which is not there"
            elif place and file in pages and unquote(place) not in pages[file].places:
                yield path, f"links to {url!r}, and the page has no place of this name"


def check(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        for path, problem in problems(Path(app.outdir)):
            logger.warning("%s %s", path.relative_to(app.outdir), problem, type="links")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
