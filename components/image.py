"""What stands for the image where a component is defined: on a cluster each task gets the image of its pod."""

IMAGE = "aira-python"
"""Never pulled (see `components.task.fitted`). 'python' in the name: kfp.local wants it."""
