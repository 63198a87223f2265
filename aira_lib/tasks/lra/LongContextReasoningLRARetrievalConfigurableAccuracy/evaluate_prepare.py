"""Write the labels of the test split where only the scorer finds them."""

from aira_lib.lra.prepared import evaluate_prepare_command

if __name__ == "__main__":
    evaluate_prepare_command("retrieval")
