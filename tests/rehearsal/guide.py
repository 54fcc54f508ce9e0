"""docs/operations.md as a script: the commands of a section are run as they stand there, against the emulated account."""

import os
import pathlib
import re
import subprocess
import textwrap

COMMAND_SECONDS = 60

# The names of AWS lead to the front, and `cargo directory` to what the tests have built.
PRELUDE = """
curl() { command curl --silent --max-time 30 --connect-to "::127.0.0.1:$FRONT_PORT" --cacert "$FRONT_CERTIFICATE" "$@"; }
cargo() { [ "$1" = directory ] && shift && "$DIRECTORY_COMMAND" "$@"; }
"""


class Guide:
    """Runs sections in one shell, so to say: variables and functions stay."""

    def __init__(self, path, scratch, environment):
        self.text = pathlib.Path(path).read_text()
        self.sections = sections(self.text)
        self.state = pathlib.Path(scratch) / "shell"
        self.environment = os.environ | environment
        self.state.write_text(PRELUDE)
        self.run_commands = []

    def run(self, section, replacements=None, only=None):
        """Runs the commands of a section, with what a reader puts into them; `only` picks lines by a part of them.
        Returns what they print."""
        script = "\n".join(self.sections[section])
        if only:
            script = "\n".join(line for line in script.splitlines() if any(part in line for part in only))
        for placeholder, value in (replacements or {}).items():
            assert placeholder in script, f"{section}: {placeholder} is not there any more"
            script = script.replace(placeholder, value)
        self.run_commands += commands(script)
        return self.shell(script)

    def shell(self, script):
        """Runs a script in the guide's shell."""
        script = f"set -euo pipefail; set -a; source {self.state}\n{script}\n{{ export -p; declare -f; }} >{self.state}.new"
        done = subprocess.run(
            ["bash", "-c", script], env=self.environment, capture_output=True, text=True, timeout=COMMAND_SECONDS
        )
        if done.returncode:
            raise RuntimeError(f"exit status {done.returncode} of\n{script}\n{done.stdout}{done.stderr}")
        pathlib.Path(f"{self.state}.new").rename(self.state)
        return done.stdout.strip()

    def commands(self):
        """Every command of AWS's and SAM's in the guide."""
        return set(commands(self.text))


def sections(text):
    """The shell blocks under each heading."""
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
            found[heading] = []
    return found


def commands(script):
    """The commands of AWS's and SAM's in a script, such as `aws lambda update-alias`."""
    return re.findall(r"\b(?:aws [a-z0-9-]+ (?:wait )?[a-z0-9-]+|sam [a-z]+)\b", script)
