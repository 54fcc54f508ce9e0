"""Prints one line for each check: its name, and the value seen."""

import time

LENGTH = 160


class Report:
    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.started = time.monotonic()

    def section(self, title):
        print(f"\n--- {title} (after {time.monotonic() - self.started:.0f} s)", flush=True)

    def check(self, what, seen, expected):
        """Passes if `seen` equals `expected`."""
        if seen == expected:
            self.passed += 1
            print(f"ok      {what}: {shortened(seen)}", flush=True)
        else:
            self.failed += 1
            print(f"FAILED  {what}: {seen}, expected {expected}", flush=True)

    def note(self, text):
        """Prints a fact about the run that is not a check."""
        print(f"note    {text}", flush=True)

    def end(self):
        """Prints the counts, alone on a line, and returns the exit status."""
        print(f"\n{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0


def shortened(seen):
    text = str(seen)
    return text if len(text) <= LENGTH else f"{text[:LENGTH]}…"
