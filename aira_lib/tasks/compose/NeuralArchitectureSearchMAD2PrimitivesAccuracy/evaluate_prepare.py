"""Put the agent's submission beside what determines the test split."""

from aira_lib.tasks.designs.scripts import evaluate_prepare_command

if __name__ == "__main__":
    evaluate_prepare_command()
