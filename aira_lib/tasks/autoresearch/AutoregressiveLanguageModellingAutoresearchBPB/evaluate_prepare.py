"""Write the labels of the second hidden shard where only the scorer finds them."""

from aira_lib.autoresearch.prepared import evaluate_prepare_command

if __name__ == "__main__":
    evaluate_prepare_command()
