"""`python -m myops` is the command `myops`."""

from myops.cli import cli

if __name__ == "__main__":
    cli(prog_name="myops")
