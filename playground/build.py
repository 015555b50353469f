"""
Makes the playground: one page, with the C kernels compiled to WebAssembly in it.

    python playground/build.py

Needs clang and wasm-ld, of LLVM 14 or later. Writes

    python/plainnet/playground/index.html   page.html with its styles, and its scripts and the kernels compressed
    playground/wasm.js                      the kernels alone, with which page.html opens from this folder

The page needs nothing else. It is committed, so that a wheel needs no clang; wasm.js is not. The page names the hash of
its sources, by which a test finds a page that is older than they are.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CSRC = ROOT / "csrc"
PAGE = ROOT / "python" / "plainnet" / "playground" / "index.html"

#: The library's functions that kernels.js calls; what these do not need is left out.
EXPORTS = re.compile(r'(?:call\(|#workspace\()"(\w+)"|library\.pn_(\w+)')

#: Bits do not depend on these, but for the first two, without which clang might fuse or reorder.
FLAGS = [
    "-ffp-contract=off", "-fno-fast-math", "-std=c11", "-Os", "-msimd128", "-mbulk-memory", "-mnontrapping-fptoint",
    "-DPN_NO_F32", "-fno-math-errno", "-fno-trapping-math", "-ffunction-sections", "-fdata-sections", "-g0",
]  # fmt: skip

#: Bytes. Most frames are small; one of them has 33 000.
STACK_SIZE = 1 << 17

_GENERATED = "wasm.js"


# ---- The kernels -----------------------------------------------------------------------------------------------------


def tool(name: str) -> str:
    """The path of a program, which the environment variable of its name in capitals may give: CLANG, WASM_LD."""
    path = shutil.which(os.environ.get(name.upper().replace("-", "_"), name))
    if path is None:
        sys.exit(f"{name} is not installed; on Debian: apt-get install clang lld")
    return path


def exported_functions() -> list[str]:
    """The names of the functions that kernels.js calls."""
    found = EXPORTS.findall((HERE / "kernels.js").read_text())
    return sorted({f"pn_{one or other}" for one, other in found})


def compiled(folder: Path) -> bytes:
    """csrc/ as a WebAssembly module, made in `folder`."""
    units = [path for path in sorted(CSRC.glob("*.c")) if not path.name.endswith(".inc.c")]
    objects = []
    for source in [*units, HERE / "layout.c"]:
        objects.append(str(folder / f"{source.stem}.o"))
        include = ["-nostdlibinc", f"-I{HERE / 'libc'}", f"-I{CSRC}"]
        command = [tool("clang"), "--target=wasm32", *FLAGS, *include, "-Wall", "-Werror", "-c", str(source), "-o"]
        subprocess.run([*command, objects[-1]], check=True)
    out = folder / "kernels.wasm"
    exports = [f"--export={name}" for name in (*exported_functions(), "__heap_base")]
    # With the stack first, a stack that is too deep ends with an error instead of in the library's data.
    options = ["--no-entry", "--gc-sections", "--strip-all", "-O2", "--stack-first", "-z", f"stack-size={STACK_SIZE}"]
    subprocess.run([tool("wasm-ld"), *options, *exports, *objects, "-o", str(out)], check=True)
    return out.read_bytes()


def packed(content: bytes) -> str:
    """What `unpackWasm` of kernels.js and `loadScripts` of loader.js unpack: zlib's format, but smaller than zlib's."""
    try:
        from zopfli.zlib import compress
    except ImportError:
        sys.exit("the package zopfli is not installed: pip install zopfli")
    return base64.b64encode(compress(content)).decode()


def without_comments(script: str) -> str:
    """`script` without comments that have lines of their own."""
    script = re.sub(r"^[ \t]*/\*.*?\*/[ \t]*\n", "", script, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"^[ \t]*//.*\n", "", script, flags=re.MULTILINE)


# ---- The page --------------------------------------------------------------------------------------------------------


def sources() -> list[Path]:
    """All files that the page is made of, but for what is generated."""
    suffixes = {".c", ".css", ".h", ".html", ".js", ".py"}
    files = sorted(path for folder in (HERE, CSRC) for path in folder.rglob("*") if path.suffix in suffixes)
    return [path for path in files if path.name != _GENERATED]


def sources_hash() -> str:
    """SHA-256 of the names and contents of the sources."""
    total = hashlib.sha256()
    for path in sources():
        content = path.read_bytes().replace(b"\r\n", b"\n")
        total.update(f"{path.relative_to(ROOT).as_posix()} {len(content)}\n".encode() + content)
    return total.hexdigest()


def inlined(page: str) -> str:
    """`page` with the styles and scripts of this folder in the place of what refers to them, the scripts compressed."""

    def style(match: re.Match[str]) -> str:
        return f"<style>\n{(HERE / match[1]).read_text().strip()}\n</style>"

    page = re.sub(r'<link rel="stylesheet" href="([\w.-]+)"\s*/?>', style, page)
    scripts = re.compile(r'(<script src="[\w.-]+"></script>\s*)+')
    (tags,) = scripts.finditer(page)  # all of them in one place, or their order would be lost
    names = re.findall(r'src="([\w.-]+)"', tags[0])
    texts = json.dumps([[name, without_comments((HERE / name).read_text())] for name in names], ensure_ascii=False)
    loader = (HERE / "loader.js").read_text().strip()
    script = f'<script>\n{loader}\nloadScripts("{packed(texts.encode())}");\n</script>\n'
    return page[: tags.start()] + script + page[tags.end() :]


def with_hash(page: str) -> str:
    """`page` with the hash of its sources, at the top."""
    if "<!doctype html>" not in page.lower():
        sys.exit("page.html does not begin with <!doctype html>")
    doctype = len("<!doctype html>")
    return f"{page[:doctype]}\n<!-- made by playground/build.py of sources {sources_hash()} -->{page[doctype:]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--wasm", metavar="FILE", help="also write the module itself to this file")
    parser.add_argument("--kernels-only", action="store_true", help="write wasm.js, and not the page")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        code = compiled(Path(folder))
    if options.wasm is not None:
        Path(options.wasm).write_bytes(code)
    text = packed(code)
    (HERE / _GENERATED).write_text(f'"use strict";\nconst PLAINNET_WASM =\n  "{text}";\n')
    print(f"kernels: {len(code)} bytes, {len(text)} in the page")
    if options.kernels_only:
        return
    page = with_hash(inlined((HERE / "page.html").read_text()))
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page)
    print(f"{PAGE.relative_to(ROOT)}: {len(page.encode())} bytes")


if __name__ == "__main__":
    main()
