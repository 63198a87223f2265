"""Train the submitted design and print its test accuracy."""

from pathlib import Path

from aira_lib.tasks.designs.scripts import evaluate_command

if __name__ == "__main__":
    evaluate_command(Path(__file__).parent.name)
