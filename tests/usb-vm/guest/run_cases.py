"""Runs the cases inside the emulated machine; one line of result for each, which the host reads.

    run_cases.py [PATTERN…]      the cases whose name contains one of the patterns; all without
"""

import sys
import time
import traceback
import unittest


class Lines(unittest.TestResult):
    """`case NAME ok|FAILED SECONDS`; a failure's words come before its line."""

    def startTest(self, test):
        super().startTest(test)
        self.begin = time.monotonic()
        self.bad = False

    def stopTest(self, test):
        super().stopTest(test)
        verdict = "FAILED" if self.bad else "ok"
        print(f"case {test.id()} {verdict} {time.monotonic() - self.begin:.1f}", flush=True)

    def complain(self, test, error):
        # A class that cannot be set up has no case of its own: its cases then lack their lines.
        self.bad = True
        print(f"--- {test.id()}\n" + "".join(traceback.format_exception(*error)), flush=True)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.complain(test, error)

    def addError(self, test, error):
        super().addError(test, error)
        self.complain(test, error)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.complain(subtest, error)


def cases_of(suite, patterns):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from cases_of(item, patterns)
        elif not patterns or any(pattern in item.id() for pattern in patterns):
            yield item


def main():
    chosen = list(cases_of(unittest.defaultTestLoader.discover("."), sys.argv[1:]))
    print(f"plan {len(chosen)}", flush=True)
    unittest.TestSuite(chosen).run(Lines())
    print("end", flush=True)


if __name__ == "__main__":
    main()
