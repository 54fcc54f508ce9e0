"""Runs the commands of the documents for operators, unchanged, against the emulated account."""

import os
import pathlib
import re
import subprocess
import textwrap

COMMAND_SECONDS = 60

# curl connects every host to the front, `cargo directory` runs the binary that the tests build, and `sleep` does nothing.
# Version 1 of the CLI takes no endpoint for SQS from the environment.
PRELUDE = """
curl() { command curl --silent --max-time 30 --connect-to "::127.0.0.1:$FRONT_PORT" --cacert "$FRONT_CERTIFICATE" "$@"; }
cargo() { [ "$1" = directory ] && shift && "$DIRECTORY_COMMAND" "$@"; }
aws() { if [ "$1" = sqs ]; then command aws "$@" --endpoint-url "$QUEUES"; else command aws "$@"; fi; }
sleep() { :; }
"""


class Guide:
    """Runs commands as if in one shell: variables and functions persist."""

    def __init__(self, paths, scratch, environment):
        self.text = "\n".join(pathlib.Path(path).read_text() for path in paths)
        self.sections = sections(self.text)
        self.state = pathlib.Path(scratch) / "shell"
        self.state.write_text(PRELUDE)
        self.environment = os.environ | environment
        # The commands that were run, such as `aws lambda update-alias`.
        self.done = set()

    def run(self, section, replacements=None, blocks=None, only=""):
        """Runs the shell blocks of a section, or only the blocks with these numbers, or only the lines that start with
        `only`. `replacements` fills in the placeholders. Returns the output."""
        chosen = self.sections[section] if blocks is None else [self.sections[section][number] for number in blocks]
        lines = [line for block in chosen for line in block.splitlines() if line.startswith(only)]
        return self.shell(self.filled("\n".join(lines), replacements))

    def run_inline(self, command, replacements=None):
        """Runs the inline command of the guide that starts with `command`."""
        found = next((each for each in re.findall(r"`([^`\n]+)`", self.text) if each.startswith(command)), "")
        assert found, f"{command} is no longer in the guide"
        return self.shell(self.filled(found, replacements))

    def filled(self, script, replacements):
        for placeholder, value in (replacements or {}).items():
            assert placeholder in script, f"{placeholder} is no longer in the guide:\n{script}"
            script = script.replace(placeholder, value)
        self.done |= commands(script)
        return script

    def shell(self, script):
        """Runs a script in the guide's shell."""
        script = (
            f"set -euo pipefail; set -a; source {self.state}\n{script}\n{{ export -p; declare -f; }} >{self.state}.new"
        )
        done = subprocess.run(
            ["bash", "-c", script], env=self.environment, capture_output=True, text=True, timeout=COMMAND_SECONDS
        )
        if done.returncode:
            raise CommandFailed(f"exit status {done.returncode} of\n{script}\n{done.stdout}{done.stderr}")
        pathlib.Path(f"{self.state}.new").rename(self.state)
        return done.stdout.strip()

    def commands(self):
        """Every command of AWS's and SAM's in the guide."""
        return commands(self.text)


class CommandFailed(Exception):
    """A command of the guide failed; the text is its output."""


def sections(text):
    """The shell blocks under each heading. A heading in several documents has the blocks of all, in order."""
    found, heading, block = {}, "", None
    for line in text.splitlines():
        if block is not None:
            if line.strip() == "```":
                found[heading].append(textwrap.dedent("\n".join(block)))
                block = None
            else:
                block.append(line)
        elif line.strip() == "```sh":
            block = []
        elif line.startswith("#"):
            heading = line.lstrip("# ")
            found.setdefault(heading, [])
    return found


def commands(script):
    return set(re.findall(r"\b(?:aws [a-z0-9-]+ (?:wait )?[a-z0-9-]+|sam [a-z]+)\b", script))
