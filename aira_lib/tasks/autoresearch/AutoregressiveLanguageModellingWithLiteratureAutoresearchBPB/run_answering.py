"""Answer the rows that are asked for, in a fresh sandbox without targets. Submitted code runs in here."""

from aira_lib.autoresearch.submitted import infer_submitted

if __name__ == "__main__":
    infer_submitted()
