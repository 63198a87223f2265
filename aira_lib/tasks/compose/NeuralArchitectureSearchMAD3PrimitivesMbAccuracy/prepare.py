"""Write the training split that an agent may see."""

from aira_lib.tasks.designs.scripts import prepare_command

if __name__ == "__main__":
    prepare_command()
