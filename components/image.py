"""The container image that the components run in."""

import os

# A cluster names its own build by digest; locally the image is not used. 'python' in the name: kfp.local wants it.
IMAGE = os.environ.get("AIRA_IMAGE", "aira-python:0.1.0")
