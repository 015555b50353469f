"""``plainnet xor``: what it prints and how it exits."""

import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import plainnet as pn
from plainnet import DivergedError, checks, cli, startup
from plainnet.cli import output
from plainnet.tutorials import xor, xor_tables


@pytest.fixture
def plainnet(capsys, monkeypatch, tmp_path):
    """Runs the command line in a directory of its own: (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(output, "_IN_LOG", (np.inf, np.inf))  # on a slow machine as well

    def run(*arguments):
        try:
            status = cli.main(arguments)
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    return run


# ---- The comparison --------------------------------------------------------------------------------------------------


def test_xor_shows_that_the_backends_agree(plainnet):
    status, out, err = plainnet("xor", "--no-picture")
    assert (status, err) == (0, "")
    assert out.count("the backends agree") == 2
    differences = [float(text) for text in re.findall(r"(?:parameters|predictions|loss curve) (\d\.\de[-+]\d+)", out)]
    assert len(differences) == 6
    assert max(differences) <= 1e-11
    assert out.count(" right\n") == 8
    assert "wrong" not in out
    assert len(re.findall(r"median of \d runs; NumPy takes \d+ times as long", out)) == 2
    assert len(re.findall(r"C \d+\.\d\d ms .*NumPy \d+\.\d\d m?s ", out)) == 2


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", sorted(xor.SYSTEMS))
def test_default_seed_solves_xor(name, dtype):
    assert xor.train(xor.SYSTEMS[name], cli.xor.DEFAULT_SEED, dtype=dtype).solved


def test_xor_prints_the_losses_and_predictions_of_the_networks(plainnet):
    _, out, _ = plainnet("xor", "--no-picture", "--seed", "7", "--epochs", "200", "--backend", "c")
    for system in xor.SYSTEMS.values():
        network = system.network(7)
        losses = network.fit(system.x, system.y, 200, system.learning_rate).loss
        assert "".join(f"{losses[epoch]:10.4g}" for epoch in (0, 1, 10, 100, 199)) in out
        for prediction in network.predict(system.x)[:, 0]:
            assert f"{prediction:.8f}" in out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--seed", "2", "--dtype", "float32", "--epochs", "1"],
        ["--seed", "123456789012345", "--epochs", "2", "--backend", "numpy"],
        ["--backend", "c", "--epochs", "1000000"],
        ["--learning-rate", "12.5", "--epochs", "300"],
        ["--starts", "30"],
        ["--starts", "3", "--backend", "both", "--epochs", "100"],
        ["--starts", "3", "--learning-rate", "1e30"],
        ["--help"],
    ],
)
def test_output_is_plain_text_of_80_columns(plainnet, arguments):
    _, out, err = plainnet("xor", *(arguments if "--starts" in arguments else [*arguments, "--no-picture"]))
    assert err == ""
    assert out.isascii()
    assert max(map(len, out.splitlines())) <= 80
    assert not re.search(r" +$", out, flags=re.MULTILINE)


def test_disagreement_exits_with_1(plainnet, monkeypatch):
    monkeypatch.setitem(checks.AGREEMENT, "float64", -1.0)
    status, out, _ = plainnet("xor", "--no-picture", "--epochs", "10")
    assert status == 1
    assert out.count("THE BACKENDS DISAGREE") == 2
    status, out, _ = plainnet("xor", "--starts", "2", "--epochs", "10", "--backend", "both")
    assert status == 1
    assert out.count("agree from 0 of 2 starts") == 2


def test_large_learning_rate_is_explained_and_still_judged(plainnet):
    status, out, _ = plainnet("xor", "--no-picture", "--learning-rate", "20", "--epochs", "3000")
    assert "above 1 training is chaotic" in out
    assert status == ("DISAGREE" in out)
    _, out, _ = plainnet("xor", "--no-picture", "--learning-rate", "1", "--epochs", "10")
    assert "chaotic" not in out


def test_one_backend_is_not_compared(plainnet):
    status, out, _ = plainnet("xor", "--no-picture", "--backend", "numpy", "--epochs", "20")
    assert status == 0
    assert "agree" not in out
    assert "as long" not in out
    assert not re.search(r"\bC\b", out)


def test_unsolved_start_is_said_to_be_one(plainnet):
    status, out, _ = plainnet("xor", "--no-picture", "--seed", "2", "--backend", "c")
    assert status == 0  # not the backends' fault
    assert "Not solved: 2 of 4 right" in out


# ---- Many starting points --------------------------------------------------------------------------------------------


def test_starts_counts_those_that_solve_xor(plainnet):
    status, out, err = plainnet("xor", "--starts", "1000")
    assert (status, err) == (0, "")
    layered, two_layer = map(int, re.findall(r"(\d+) of 1000 starting points solve XOR", out))
    assert abs(layered - 830) <= 40  # measured over other thousands of N(0, 1) starts: 830 to 857
    assert two_layer >= 990
    assert "stuck" in out


def test_starts_are_those_of_consecutive_seeds():
    system = xor.SYSTEMS["layered"]
    starts = xor.train_starts(system, 6, first_seed=20)
    for k in range(6):
        result = xor.train(system, 20 + k, ["c"])
        assert starts.n_right[k] == result.n_right
        assert starts.losses[k] == result.first.loss[-1]
        assert starts.solved[k] == result.solved
    assert not all(starts.solved)  # seed 23 is stuck


def test_starts_compare_both_backends_if_asked(plainnet):
    status, out, _ = plainnet("xor", "--starts", "3", "--backend", "both", "--epochs", "50")
    assert status == 0
    assert out.count("agree from 3 of 3 starts") == 2


def test_starts_count_divergence_as_unsolved(monkeypatch):
    def diverge(*arguments, **options):
        raise DivergedError(3)

    monkeypatch.setattr(xor, "train", diverge)
    starts = xor.train_starts(xor.SYSTEMS["layered"], 2, 0)
    assert starts.solved == (False, False)
    assert "diverged        2" in xor_tables.report_starts(starts)


# ---- Options and failures --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["xnor"], "invalid choice"),
        (["xor", "--seed", "-1"], "argument --seed: must be at least 0, not -1"),
        (["xor", "--seed", "x"], "argument --seed: 'x' is not an integer"),
        (["xor", "--epochs", "0"], "argument --epochs: must be within 1...10000000, not 0"),
        (["xor", "--epochs", "1e3"], "'1e3' is not an integer"),
        (["xor", "--epochs", "99999999999999999999"], "must be within"),
        (["xor", "--learning-rate", "0"], "argument --learning-rate: must be finite and above 0, not 0"),
        (["xor", "--learning-rate", "nan"], "must be finite and above 0, not nan"),
        (["xor", "--learning-rate", "inf"], "must be finite and above 0, not inf"),
        (["xor", "--learning-rate", "fast"], "'fast' is not a number"),
        (["xor", "--learning-rate", "1e300", "--dtype", "float32"], "0 or infinite in float32"),
        (["xor", "--learning-rate", "1e-300", "--dtype", "float32"], "0 or infinite in float32"),
        (["xor", "--dtype", "float16"], "invalid choice: 'float16'"),
        (["xor", "--backend", "cuda"], "invalid choice: 'cuda'"),
        (["xor", "--starts", "0"], "argument --starts: must be within"),
        (["xor", "--picture", "a.png", "--no-picture"], "not allowed with"),
        (["xor", "--picture", "a.png", "--starts", "3"], "not allowed with"),
        (["xor", "--picture", "no/such/place.png"], "no such directory"),
        (["xor", "--picture", "a.exe"], "unknown kind of picture"),
        (["xor", "--picture", "a" * 300 + ".png"], "name too long"),
    ],
)
def test_bad_options_exit_with_2(plainnet, arguments, message):
    status, out, err = plainnet(*arguments)
    assert status == 2
    assert message in err
    assert "Traceback" not in err
    assert out == ""


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (DivergedError(3), 1, "training diverged"), (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError("no memory for the losses"), 1, "no memory for the losses"), (MemoryError(), 1, "out of memory"),
        (OSError(28, "No space left on device"), 1, "cannot write the output: No space left on device"),
    ],
)
def test_failures_are_said_in_a_line(plainnet, monkeypatch, error, status, message):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(xor, "train", fail)
    found, _, err = plainnet("xor", "--no-picture")
    assert found == status
    assert message in err
    assert err.count("\n") == 1


# ---- The picture -----------------------------------------------------------------------------------------------------


def test_picture_goes_into_the_current_directory(plainnet, tmp_path):
    status, out, _ = plainnet("xor", "--epochs", "20")
    assert status == 0
    assert f"Picture: {tmp_path / 'plainnet-xor.png'}" in out
    assert (tmp_path / "plainnet-xor.png").stat().st_size > 10_000


def test_picture_goes_where_it_is_wanted(plainnet, tmp_path):
    status, out, _ = plainnet("xor", "--epochs", "20", "--picture", "mine.svg")
    assert status == 0
    assert str(tmp_path / "mine.svg") in out
    assert [path.name for path in tmp_path.iterdir()] == ["mine.svg"]


def test_no_picture_writes_no_file(plainnet, tmp_path):
    status, out, _ = plainnet("xor", "--epochs", "20", "--no-picture")
    assert status == 0
    assert "icture" not in out
    assert not list(tmp_path.iterdir())


def test_missing_matplotlib_is_said_in_a_line(plainnet, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    status, out, err = plainnet("xor", "--epochs", "20")
    assert (status, err) == (0, "")
    assert "pip install matplotlib" in out.splitlines()[-1]
    assert not list(tmp_path.iterdir())
    status, _, err = plainnet("xor", "--epochs", "20", "--picture", "a.png")
    assert status == 2
    assert "pip install matplotlib" in err


@pytest.mark.parametrize(("arguments", "expected"), [([], 0), (["--picture", "plainnet-xor.png"], 1)])
def test_unwritable_picture_fails_only_if_asked_for(plainnet, monkeypatch, arguments, expected):
    from plainnet.tutorials import xor_plot

    def refuse(results, path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(xor_plot, "write_picture", refuse)
    status, out, err = plainnet("xor", "--epochs", "20", *arguments)
    assert status == expected
    assert "Permission denied" in err
    assert "Picture:" not in out


def test_picture_that_may_not_be_written_is_refused_before_training(plainnet, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as root everything is allowed
    status, out, err = plainnet("xor", "--picture", "a.png")
    assert (status, out) == (2, "")
    assert "argument --picture: a.png: permission denied" in err


def test_matplotlib_that_cannot_be_imported_is_said_in_a_line(tmp_path):
    (tmp_path / "matplotlib").mkdir()
    (tmp_path / "matplotlib" / "__init__.py").write_text("raise ImportError('made for\\nanother NumPy')")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = program(["xor", "--epochs", "10"], tmp_path, PYTHONPATH=path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "No picture: matplotlib cannot be imported: made for another NumPy"
    done = program(["xor", "--epochs", "10", "--picture", "a.png"], tmp_path, PYTHONPATH=path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "argument --picture: matplotlib cannot be imported: made for another NumPy" in done.stderr


def test_path_that_the_output_cannot_spell_is_escaped(monkeypatch):
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, "ascii"))
    output.say("Picture: /tmp/\u00fc\udcff.png")
    assert out.getvalue() == b"Picture: /tmp/\\xfc\\udcff.png\n"


# ---- How far a long job is -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "stages"),
    [
        (["--epochs", "20", "--no-picture"], ["epochs with C", "epochs with NumPy"]),
        (["--epochs", "20", "--no-picture", "--backend", "c"], ["epochs with C"]),
        (["--starts", "4", "--epochs", "20"], ["starting points"]),
        (["--starts", "4", "--epochs", "20", "--backend", "both"], ["starting points"]),
    ],
)
def test_progress_goes_to_stderr_and_leaves_the_output_as_it_is(plainnet, monkeypatch, arguments, stages):
    monkeypatch.setattr(xor, "_EPOCHS_PER_REPORT", 7)
    status, out, err = plainnet("xor", *arguments)
    assert (status, err) == (0, "")
    monkeypatch.setattr(output, "_IN_LOG", (0.0, 0.0))
    status, again, err = plainnet("xor", *arguments)
    assert status == 0
    timeless = [re.sub(r"time of .*\n.*|[\d.]+ m?s .*", "", text) for text in (out, again)]
    assert timeless[0] == timeless[1]
    lines = err.splitlines()
    for line in lines:
        assert re.fullmatch(
            rf"plainnet xor: (Layered|Two-layer) network: \d+ of \d+ ({'|'.join(stages)})(, \d+ (s|min|h) left)?", line
        )
    for stage in stages:
        for name in ("Layered", "Two-layer"):
            counts = [tuple(map(int, re.findall(r"(\d+) of (\d+)", line)[0])) for line in lines if stage in line
                      and name in line]  # fmt: skip
            assert counts[-1][0] == counts[-1][1]  # all are done
            assert len(counts) >= 3


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_on_a_terminal_is_one_line_that_disappears(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "60")
    seconds = iter([0.0, 0.5, 1.0, 1.1, 4000.0, 4000.3])
    monkeypatch.setattr(output.time, "monotonic", lambda: next(seconds))
    with output.ProgressLine("Network") as progress:
        progress("starting points", 1, 8000)
        progress("starting points", 2, 8000)
        progress("starting points", 3, 8000)  # too soon after the last
        progress("starting points", 4001, 8000)
        progress("epochs with a backend that has quite a long name", 5, 8000)
    shown = sys.stderr.getvalue()
    assert "\n" not in shown
    assert shown.split("\r")[1:3] == [
        "Network: 2 of 8000 starting points, 67 min left", "Network: 4001 of 8000 starting points, 67 min left",
    ]  # fmt: skip
    assert shown.endswith("\r" + " " * 59 + "\r")
    assert max(map(len, shown.split("\r"))) == 59


def test_progress_is_cleared_before_an_error_is_said(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(output, "_ON_TERMINAL", (0.0, 0.0))
    with pytest.raises(KeyboardInterrupt), output.ProgressLine("Network") as progress:  # noqa: PT012
        progress("epochs", 1, 2)
        raise KeyboardInterrupt
    assert re.fullmatch(r"\rNetwork: 1 of 2 epochs\r +\r", sys.stderr.getvalue())


def test_progress_that_cannot_be_written_is_no_error(monkeypatch):
    class Full(Terminal):
        def write(self, text):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stderr", Full())
    monkeypatch.setattr(output, "_ON_TERMINAL", (0.0, 0.0))
    with output.ProgressLine("Network") as progress:
        progress("epochs", 1, 2)


def test_training_in_parts_has_the_bits_of_one_fit(backend, monkeypatch):
    monkeypatch.setattr(xor, "_EPOCHS_PER_REPORT", 7)
    for system in xor.SYSTEMS.values():
        x, y = (np.array(rows, float) for rows in (system.x, system.y))
        whole, parts = system.network(3, backend=backend), system.network(3, backend=backend)
        done = []
        losses = xor._fit(parts, x, y, 20, 0.5, done.append)
        np.testing.assert_array_equal(losses, whole.fit(x, y, 20, 0.5).loss)
        np.testing.assert_array_equal(parts.parameters, whole.parameters)
        assert done == [7, 14, 20]


def test_divergence_in_parts_names_the_epoch_of_the_whole(backend, monkeypatch):
    monkeypatch.setattr(xor, "_EPOCHS_PER_REPORT", 7)
    x, y = np.ones((4, 2)), np.ones((4, 1))
    whole, parts = (pn.Network([pn.Dense(2, 1)], seed=1, backend=backend) for _ in range(2))
    with pytest.raises(DivergedError) as expected:
        whole.fit(x, y, 1000, 100.0)
    with pytest.raises(DivergedError) as caught:
        xor._fit(parts, x, y, 1000, 100.0, lambda done: None)
    assert caught.value.epoch == expected.value.epoch > 7
    assert str(caught.value) == str(expected.value)


# ---- As a program ----------------------------------------------------------------------------------------------------


def program(arguments, directory, **environment):
    """What ``python -m plainnet`` does with `arguments`."""
    return subprocess.run(
        [sys.executable, "-m", "plainnet", *arguments], capture_output=True, text=True, cwd=directory, timeout=600,
        env={**os.environ, **environment},
    )  # fmt: skip


def test_module_runs_as_a_program(tmp_path):
    done = program(["xor", "--epochs", "50", "--no-picture"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the backends agree") == 2


def test_closed_pipe_is_no_traceback(tmp_path):
    command = [sys.executable, "-m", "plainnet", "xor", "--starts", "1000000"]  # it writes after the pipe is closed
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(120) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize(
    "arguments", [["xor", "--epochs", "5", "--no-picture"], ["xor", "--starts", "2"], ["xor", "--help"], ["--version"]]
)
def test_full_disk_is_said_in_a_line(arguments, tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "plainnet", *arguments], stdout=full, stderr=subprocess.PIPE, text=True,
            cwd=tmp_path, timeout=120,
        )  # fmt: skip
    command = f"plainnet {arguments[0]}".removesuffix(" --version")
    assert done.stderr == f"{command}: cannot write the output: No space left on device\n"
    assert done.returncode == 1


def test_closed_outputs_are_no_traceback(tmp_path):
    command = f"{sys.executable} -m plainnet xor --epochs 5 --no-picture"
    done = subprocess.run(f"{command} >&-", shell=True, stderr=subprocess.PIPE, text=True, cwd=tmp_path, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run(f"{command} --bad 2>&-", shell=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 2


@pytest.mark.usefixtures("sigint_raises")  # or the program would inherit that it is ignored
def test_ctrl_c_ends_with_a_line_and_130(tmp_path):
    command = [sys.executable, "-m", "plainnet", "xor", "--starts", "1000000"]  # minutes at least: no signal comes late
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert err.splitlines()[-1] == "plainnet xor: interrupted"
    assert "Traceback" not in err
    assert process.returncode == 130


BAD_ENVIRONMENTS = [
    ("PLAINNET_ISA", "mmx", [repr(pn.native.available_isas())]),
    ("PLAINNET_ISA", "AVX2", [repr(pn.native.available_isas())]),
    *(("PLAINNET_NUM_THREADS", value, ["1 to 64"]) for value in ("0", "65", "-1", "4abc", "four", "1e1")),
]


@pytest.mark.parametrize(("variable", "value", "allowed"), BAD_ENVIRONMENTS)
def test_unusable_environment_is_said_in_a_line_that_names_the_value(tmp_path, variable, value, allowed):
    done = program(["xor"], tmp_path, **{variable: value})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"plainnet: {variable} is {value!r}; ")
    assert done.stderr.count("\n") == 1
    for part in allowed:
        assert part in done.stderr


def test_unusable_environment_is_said_by_the_installed_script_as_well(tmp_path):
    script = tmp_path / "plainnet"
    script.write_text("import sys\nfrom plainnet.cli import main\nsys.exit(main())\n")
    done = subprocess.run([sys.executable, script, "xor"], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "PLAINNET_ISA": "mmx"})  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("plainnet: PLAINNET_ISA is 'mmx'; ")


@pytest.mark.parametrize(("variable", "value", "allowed"), BAD_ENVIRONMENTS[::2])
def test_unusable_environment_is_a_value_error_in_a_program(tmp_path, variable, value, allowed):
    (tmp_path / "imports_it.py").write_text("import plainnet")
    for arguments in (["-c", "import plainnet"], ["imports_it.py"], ["-m", "imports_it"]):
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120, cwd=tmp_path,
                              env={**os.environ, variable: value})  # fmt: skip
        assert done.returncode == 1
        last = done.stderr.splitlines()[-1]
        assert last.startswith(f"ValueError: {variable} is {value!r}; ")
        for part in allowed:
            assert part in last


def test_ctrl_c_while_the_package_is_imported_ends_with_a_line_and_130(capsys):
    with pytest.raises(SystemExit) as stop:
        startup.give_up(KeyboardInterrupt())
    assert stop.value.code == 130
    assert capsys.readouterr().err == "plainnet: interrupted\n"


def test_core_and_tables_never_import_matplotlib(tmp_path):
    code = "import sys, plainnet, plainnet.cli, plainnet.tutorials.xor; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, timeout=600)
    code = "import sys, plainnet; assert not {'plainnet.cli', 'plainnet.tutorials'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, timeout=600)


# ---- Tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [(1, [0]), (2, [0, 1]), (11, [0, 1, 10]), (12, [0, 1, 10, 11]), (1500, [0, 1, 10, 100, 1000, 1499]),
     (10**7, [0, 1000, 10**4, 10**5, 10**6, 10**7 - 1])],
)  # fmt: skip
def test_table_epochs_are_few_and_end_with_the_last(epochs, expected):
    assert xor_tables.table_epochs(epochs) == expected


def test_histogram_counts_every_start_once():
    rng = np.random.default_rng(0)
    losses = np.exp(rng.normal(-3, 3, 500)).tolist()
    solved = [loss < 0.1 for loss in losses]
    lines = xor_tables.histogram(losses, solved)[1:]
    assert sum(int(re.search(r"to +\S+ +(\d+)", line).group(1)) for line in lines) == 500
    assert max(line.count("#") + line.count(". ") for line in lines) <= 41
    assert "#" in lines[0]
    assert "#" not in lines[-1]


@pytest.mark.parametrize("losses", [[0.5], [1.0, 1.0], [0.0, 1.0], [1e-300, 1e299], [0.001, float("inf")], [1e-3, 1e3]])
def test_histogram_takes_any_losses(losses):
    lines = xor_tables.histogram(losses, [False] * len(losses))
    assert sum(int(re.search(r"(?:to +\S+|diverged) +(\d+)", line).group(1)) for line in lines[1:]) == len(losses)
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
