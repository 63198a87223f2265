"""Where libraries keep what they compile and download, for a user who has no home to write into.

A container may run as any user, on a root that is read-only: then AIRA_SCRATCH is the one place to write into, and no
library but AIRA knows of it. They would ask for the home, and fail, or warn and forget.
"""

import os

_FOLDERS = {
    "XDG_CACHE_HOME": "cache",  # Hugging Face's packages, torch.hub, fontconfig
    "MPLCONFIGDIR": "matplotlib",
    "TRITON_CACHE_DIR": "triton",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
}


def keep_below_scratch() -> None:
    """Name folders below AIRA_SCRATCH to libraries that are imported later, unless the home can be written.

    What the environment says of such a folder stays, and so does HOME: credentials may lie there to be read.
    """
    scratch = os.environ.get("AIRA_SCRATCH")
    if scratch and not os.access(os.path.expanduser("~"), os.W_OK):
        for variable, folder in _FOLDERS.items():
            os.environ.setdefault(variable, os.path.join(os.path.abspath(scratch), folder))
