"""What pages of this documentation read from the sources: where these are, and the constants of a header in C."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def constants(path: str, known: dict[str, float], chosen: str = "") -> dict[str, float]:
    """
    The constants that a header defines with numbers and with each other.

    Parameters
    ----------
    path : str
        Of the header, in the sources.
    known : dict
        Names that stand in it and are defined elsewhere.
    chosen : str
        The part of the header between ``#if`` and ``#else`` whose condition begins with this counts, of several
        definitions of a name.

    Returns
    -------
    dict
        By name, also those in `known`. Definitions that are no arithmetic are left out.
    """
    text = re.sub(r"/\*.*?\*/", "", (ROOT / path).read_text(encoding="utf-8"), flags=re.DOTALL)

    def choose(match: re.Match[str]) -> str:
        return match["yes"] if chosen and match["condition"].strip().startswith(chosen) else match["no"]

    text = re.sub(r"#if (?P<condition>.*)\n(?P<yes>[^#]*(?:#define[^#]*)*)#else\s*(?P<no>[^#]*(?:#define[^#]*)*)#endif",
                  choose, text)  # fmt: skip
    found = dict(known)
    for name, value in re.findall(r"^#define (PN_\w+) (.+)$", text, flags=re.MULTILINE):
        expression = value.replace("sizeof(real)", "sizeof_real").replace("/", "//")
        if re.fullmatch(r"[\w\s()*/+<>.-]*", expression) and "e" not in re.sub(r"[A-Za-z_]\w+", "", expression):
            found[name] = eval(expression, {"__builtins__": {}}, found)
    return found


def import_benchmarks() -> None:
    """Lets ``import report`` and the like find the files of benchmarks/."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
