"""What the Python scripts share: count claims, say which one failed, set the exit code."""

import sys


class Checks:
    """Claims about one server; leave with `finish()`."""

    def __init__(self, client):
        self.client = client
        self.held = 0
        self.failed = []

    def that(self, claim, seen, expected=True):
        if seen == expected and type(seen) is type(expected):
            self.held += 1
        else:
            self.failed.append(f"{claim}: expected {expected!r}, got {seen!r}")

    def raises(self, claim, error, call, *args, **kwargs):
        try:
            seen = call(*args, **kwargs)
        except error:
            self.held += 1
        except Exception as other:  # the wrong error is a finding, not an accident
            self.failed.append(f"{claim}: expected {error.__name__}, got {other!r}")
        else:
            self.failed.append(f"{claim}: expected {error.__name__}, got {seen!r}")

    def finish(self):
        for failure in self.failed:
            print(f"{self.client}: {failure}")
        print(f"{self.client}: {self.held} held, {len(self.failed)} failed")
        sys.exit(1 if self.failed or not self.held else 0)


def address():
    return sys.argv[1], int(sys.argv[2])
