"""Answer the rows that are asked for, in a fresh sandbox without labels. Submitted code runs in here."""

from aira_lib.lra.submitted import infer_submitted

if __name__ == "__main__":
    infer_submitted()
