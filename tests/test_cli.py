"""``plainnet xor``: what it prints and how it exits."""

import re
import subprocess
import sys

import numpy as np
import pytest

from plainnet import DivergedError, checks, cli, xor


@pytest.fixture
def plainnet(capsys, monkeypatch, tmp_path):
    """Runs the command line in a directory of its own: (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

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
    assert len(re.findall(r"median of \d runs; NumPy / C = \d+", out)) == 2
    assert len(re.findall(r"C \d+\.\d\d ms .*NumPy \d+\.\d\d m?s ", out)) == 2


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", sorted(xor.SYSTEMS))
def test_default_seed_solves_xor(name, dtype):
    assert xor.train(xor.SYSTEMS[name], cli.DEFAULT_SEED, dtype=dtype).solved


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
    assert "NumPy / C" not in out
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
    def diverge(*arguments):
        raise DivergedError(3)

    monkeypatch.setattr(xor, "train", diverge)
    starts = xor.train_starts(xor.SYSTEMS["layered"], 2, 0)
    assert starts.solved == (False, False)
    assert "diverged        2" in xor.report_starts(starts)


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
    [(DivergedError(3), 1, "training diverged"), (KeyboardInterrupt(), 130, "interrupted")],
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


@pytest.mark.parametrize(("arguments", "expected"), [([], 0), (["--picture", "plainnet-xor.png"], 2)])
def test_unwritable_picture_fails_only_if_asked_for(plainnet, monkeypatch, arguments, expected):
    from plainnet import plot

    def refuse(results, path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(plot, "write_picture", refuse)
    status, out, err = plainnet("xor", "--epochs", "20", *arguments)
    assert status == expected
    assert "Permission denied" in err
    assert "Picture:" not in out


# ---- As a program ----------------------------------------------------------------------------------------------------


def test_module_runs_as_a_program(tmp_path):
    command = [sys.executable, "-m", "plainnet", "xor", "--epochs", "50", "--no-picture"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the backends agree") == 2


def test_closed_pipe_is_no_traceback(tmp_path):
    command = [sys.executable, "-m", "plainnet", "xor", "--epochs", "50", "--no-picture"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        process.stdout.close()
        assert process.stderr.read() == ""


def test_core_and_tables_never_import_matplotlib(tmp_path):
    code = "import sys, plainnet, plainnet.cli, plainnet.xor; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, timeout=120)
    code = "import sys, plainnet; assert not {'plainnet.cli', 'plainnet.xor', 'plainnet.plot'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, timeout=120)


# ---- Tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [(1, [0]), (2, [0, 1]), (11, [0, 1, 10]), (12, [0, 1, 10, 11]), (1500, [0, 1, 10, 100, 1000, 1499]),
     (10**7, [0, 1000, 10**4, 10**5, 10**6, 10**7 - 1])],
)  # fmt: skip
def test_table_epochs_are_few_and_end_with_the_last(epochs, expected):
    assert xor.table_epochs(epochs) == expected


def test_histogram_counts_every_start_once():
    rng = np.random.default_rng(0)
    losses = np.exp(rng.normal(-3, 3, 500)).tolist()
    solved = [loss < 0.1 for loss in losses]
    lines = xor.histogram(losses, solved)[1:]
    assert sum(int(re.search(r"to +\S+ +(\d+)", line).group(1)) for line in lines) == 500
    assert max(line.count("#") + line.count(". ") for line in lines) <= 41
    assert "#" in lines[0]
    assert "#" not in lines[-1]


@pytest.mark.parametrize("losses", [[0.5], [1.0, 1.0], [0.0, 1.0], [1e-300, 1e299], [0.001, float("inf")], [1e-3, 1e3]])
def test_histogram_takes_any_losses(losses):
    lines = xor.histogram(losses, [False] * len(losses))
    assert sum(int(re.search(r"(?:to +\S+|diverged) +(\d+)", line).group(1)) for line in lines[1:]) == len(losses)
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
