"""The reference of all commands, made from the program; `python -m tests.command_reference` writes docs/commands.md."""

import re
from pathlib import Path

from dicomprep.cli.app import app

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
FIRST_COMMAND = "\n## dicomprep "
INTRODUCTION = """# Command-line reference

Written by `python -m tests.command_reference` from the commands' own help; a test checks that it is up to date.
Options may be spelled with `-` or `_`. [The design](design.md#commands) says what `dicomprep.toml` may set.
"""


def command_reference() -> str:
    """What the page holds, on any machine."""
    generated = app.generate_docs(output_format="markdown").replace(" -m tests.command_reference", "")  # how it was run
    _, heading, commands = generated.partition(FIRST_COMMAND)
    commands = re.sub(r"(`--workers INT`: .*\*\[default: )\d+", r"\1number of CPUs", commands)
    return INTRODUCTION + heading + re.sub(r"[ \t]+$", "", commands, flags=re.MULTILINE).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(command_reference(), encoding="utf-8")
