"""Score logits as AIRS-Bench does; the harness scores the same by the function that program.yaml names."""

from aira_lib.autoresearch.prepared import evaluate_command

if __name__ == "__main__":
    evaluate_command()
