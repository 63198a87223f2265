"""Print what an image says of itself: python images/describe.py VERSION REVISION EXTRAS, the last with commas."""

import json
import sys

version, revision, extras = sys.argv[1:]
print(json.dumps({"version": version, "revision": revision, "extras": extras.split(",") if extras else []}))
