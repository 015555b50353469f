"""One suite for every backend: NumPy, and C on each instruction set that this machine has."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import numpy as np
import pytest

import plainnet as pn

from progress import Progress

# Property tests try the same examples everywhere, and a fixture that only selects a backend may serve all of them.
hypothesis.settings.register_profile(
    "plainnet",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=60,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("plainnet")


@pytest.hookimpl(trylast=True)  # after the reporter's own
def pytest_configure(config: pytest.Config) -> None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and config.option.verbose == 0:  # with -q and -v, pytest's own progress
        config.pluginmanager.register(Progress(reporter), "progress")


C_BACKENDS = [f"c-{isa}" for isa in pn.native.available_isas()]


def _select(name: str) -> Iterator[str]:
    backend, _, isa = name.partition("-")
    before = pn.native.isa()
    if isa:
        pn.native.set_isa(isa)
    yield backend
    pn.native.set_isa(before)


@pytest.fixture(params=["numpy", *C_BACKENDS])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """ "numpy" or "c"; C is tried on every instruction set."""
    yield from _select(request.param)


@pytest.fixture(params=C_BACKENDS)
def c_backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """ "c", on every instruction set: for comparisons with NumPy."""
    yield from _select(request.param)


@pytest.fixture
def kernels(backend: str) -> ModuleType:
    """The module with the backend's single kernels."""
    return pn.reference if backend == "numpy" else pn.kernels


@pytest.fixture(params=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> np.dtype[Any]:
    return np.dtype(request.param)


@pytest.fixture
def sigint_raises() -> Iterator[None]:
    """Python's own handler, even where pytest was started in a shell's background, which has SIGINT ignored."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser without a window, by way of Playwright; tests are skipped where one of them is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is missing: pip install playwright")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0  # for whom Chromium has no sandbox
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"] if is_root else [])
        yield browser
        browser.close()


@pytest.fixture
def playground_page(chromium: Any) -> Iterator[Any]:
    """The playground that is in the wheel, opened from disk, without an error and without a request to anywhere."""
    page = chromium.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("request", lambda request: wrong.append(request.url) if request.url.startswith("http") else None)
    page.goto((Path(pn.__file__).parent / "playground" / "index.html").as_uri())
    page.wait_for_function("typeof loadPlainnet === 'function' && typeof PLAINNET_WASM === 'string'")
    yield page
    page.close()
    assert wrong == []
