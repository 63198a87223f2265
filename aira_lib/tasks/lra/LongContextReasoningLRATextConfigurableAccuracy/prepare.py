"""Write train and validation with labels, and test without."""

from aira_lib.lra.prepared import prepare_command

if __name__ == "__main__":
    prepare_command("text")
