"""Train the submitted model.py on labelled rows, in a sandbox, and leave the weights. Submitted code runs in here."""

from aira_lib.lra.submitted import train_submitted

if __name__ == "__main__":
    train_submitted()
