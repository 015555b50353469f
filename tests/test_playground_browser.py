"""The playground's kernels in a browser, whose compiler is its own, have the bits that they have in Node."""

import pytest

import plainnet as pn

import playground_runs as runs


@pytest.fixture
def in_browser(playground_page):
    """What the function `job` of playground_runs.js makes of `given`, in the page."""
    playground_page.add_script_tag(path=str(runs.JOBS))
    call = "async (given) => {job}(await loadPlainnet(PLAINNET_WASM), given)"
    return lambda job, given: playground_page.evaluate(call.replace("{job}", job), given)


@pytest.mark.skipif(
    "baseline" not in pn.native.available_isas(),
    reason="WebAssembly has the bits of x86-64 without fused multiply-adds",
)
def test_runs_in_a_browser_have_the_bits_of_python(in_browser):
    results = in_browser("resultsOfRuns", {name: runs.for_javascript(name) for name in runs.RUNS})
    before = pn.native.isa()
    pn.native.set_isa("baseline")
    try:
        for name in runs.RUNS:
            assert results[name] == runs.in_python(name), name
    finally:
        pn.native.set_isa(before)


def test_networks_that_are_freed_leave_nothing_in_memory_in_a_browser(in_browser):
    result = in_browser("memoryOfNetworks", runs.for_javascript("options") | {"count": 200})
    assert (result["used"], result["free"]) == (0, 1)
    assert result["first"] == result["last"]
