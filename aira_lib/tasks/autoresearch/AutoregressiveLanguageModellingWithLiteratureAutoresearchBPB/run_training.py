"""Run the submitted train.py as a program, in a sandbox with the training rows. Submitted code runs in here."""

from aira_lib.autoresearch.submitted import train_submitted

if __name__ == "__main__":
    train_submitted()
