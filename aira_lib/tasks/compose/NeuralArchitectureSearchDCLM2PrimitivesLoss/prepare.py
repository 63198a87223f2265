"""Write the training split that an agent may see."""

from pathlib import Path

from aira_lib.tasks.designs.scripts import prepare_command

if __name__ == "__main__":
    prepare_command(Path(__file__).parent.name)
