"""Reports progress by a line for each file of tests that is done, instead of a dot for each test."""

import time
from collections import Counter

import pytest

#: A line is written after this many seconds, even in the middle of a file.
SILENCE = 15


class Progress:
    def __init__(self, reporter):
        self.reporter = reporter
        reporter.showfspath = False
        self.begin = self.last_line = time.monotonic()
        self.tests, self.done = Counter(), Counter()
        self.results = {}

    def pytest_collection_finish(self, session):
        self.tests = Counter(file_of(item.nodeid) for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids):
        self.tests = Counter(map(file_of, ids))

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self, report):
        category, letter, word = yield
        if isinstance(report, pytest.TestReport):
            if category:
                self.results.setdefault(file_of(report.nodeid), Counter())[category] += 1
            return category, "", word if report.failed else ""  # the summary wants the word
        return category, letter, word

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.write(f"FAILED {report.nodeid}", red=True)

    def pytest_runtest_logfinish(self, nodeid):
        file = file_of(nodeid)
        self.done[file] += 1
        if self.done[file] == self.tests[file]:
            results = ", ".join(f"{number} {category}" for category, number in self.results[file].items())
            self.write(f"{self.share()}  {file}: {results}")
        elif time.monotonic() - self.last_line > SILENCE:
            self.write(f"{self.share()}  {file}: {self.done[file]} of {self.tests[file]} tests")

    def share(self):
        percent = 100 * self.done.total() // self.tests.total()
        return f"[{percent:3} %, {time.monotonic() - self.begin:3.0f} s]"

    def write(self, line, **markup):
        self.last_line = time.monotonic()
        self.reporter.ensure_newline()
        self.reporter.write_line(line, **markup)


def file_of(nodeid):
    return nodeid.partition("::")[0]
