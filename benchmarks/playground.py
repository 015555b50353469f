"""
The playground's frames in a browser without a window: 5 layers of 8 neurons and 500 points.

    python benchmarks/playground.py [--seconds 10]        # needs playwright, and Debian's chromium

Prints, for one epoch a frame and for as many steps as a frame has time for, the times between frames, which are 16.7 ms
where nothing is late, and what the page's own script takes of them.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parent.parent / "python" / "plainnet" / "playground" / "index.html"
STATE = "data=spirals&n=500&test=0&hidden=8,8,8,8,8&rates=0_0.05&selected=n2.3"
STAMPS = """() => {
    window.stamps = [];
    const stamp = (time) => { stamps.push(time); requestAnimationFrame(stamp); };
    requestAnimationFrame(stamp);
}"""


def share(times: list[float], part: float) -> float:
    """The time below which so many of them are."""
    return sorted(times)[int(part * (len(times) - 1))]


def line(name: str, times: list[float]) -> str:
    return f"{name}: median {share(times, 0.5):5.1f} ms, 95th percentile {share(times, 0.95):5.1f} ms"


def measure(browser: Any, speed: str, seconds: float) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(f"{PAGE.as_uri()}#{STATE}&speed={speed}")
    page.wait_for_function("typeof playground !== 'undefined' && playground")
    page.click("#run")
    page.wait_for_timeout(1000)  # until the browser has compiled what it runs often
    page.evaluate(STAMPS)
    before = page.evaluate("playground.run.steps")
    page.wait_for_timeout(1000 * seconds)
    stamps, script, steps = page.evaluate("[stamps, playground.times, playground.run.steps]")
    between = [later - earlier for earlier, later in itertools.pairwise(stamps)]
    print(f"speed {speed}, {(steps - before) / seconds:.0f} steps a second")
    print(line("  between frames", between))
    print(line("  script        ", script[-len(between) :]))
    page.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10, help="how long each speed is measured")
    options = parser.parse_args()
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        sys.exit("Chromium is not installed; on Debian: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        is_root = hasattr(os, "geteuid") and os.geteuid() == 0  # for whom Chromium has no sandbox
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"] if is_root else [])
        print(f"Chromium {browser.version}")
        for speed in ("epoch", "fast"):
            measure(browser, speed, options.seconds)
        browser.close()


if __name__ == "__main__":
    main()
