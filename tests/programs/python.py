#!/usr/bin/python3
"""CPython's own tests of what the shim has to do with: signals, crashes,
children and threads. Debian's libpython3.11-testsuite, Debian's python3.11."""

import xml.etree.ElementTree as tree

import compare

PYTHON = "/usr/bin/python3.11"
# With the least number of crashes that each makes on purpose.
SUITES = {
    "test_signal": 0,
    "test_faulthandler": 15,
    "test_subprocess": 1,
    "test_threading": 0,
    "test_multiprocessing_fork": 0,
}


def suite(name):
    def run(one, only):
        results = one.where / "results.xml"
        argv = [PYTHON, "-m", "test", "--junit-xml", results]
        if only:
            argv += ["--matchfile", write_list(one, only)]
        status, text = one.run(argv + [name], 900)
        if not results.exists():
            return {name: f"failed: status {status}: {text[-2000:]}"}
        return read(results)

    return run


def write_list(one, only):
    path = one.where / "only"
    path.write_text("".join(f"*.{test}\n" for test in only))
    return path


def read(results):
    found = {}
    for test in tree.parse(results).iter("testcase"):
        outcome = "passed"
        for child in test:
            if child.tag == "skipped":
                outcome = f"skipped: {child.text}"
            elif child.tag in ("error", "failure"):
                outcome = f"failed: {child.text}"
        found[test.get("name").split(".", 2)[-1]] = outcome
    return found


compare.need(PYTHON)
for name, reports in SUITES.items():
    compare.test_by_test(f"{name}:", suite(name), reports)
