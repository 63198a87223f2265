"""Compile the module of C by which Triton speaks with NVIDIA's driver, into a folder: python driver.py FOLDER.

Triton itself would do so at its first kernel. It wants the driver's library to link with, which no machine without a
GPU has; one whose functions do nothing will do, since the real one takes its place when the module is loaded.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from triton.backends.nvidia import driver
from triton.runtime.build import _build

folder = Path(sys.argv[1])
folder.mkdir()
source = folder / "driver.c"
source.write_text(Path(driver.__file__).with_name("driver.c").read_text())
with TemporaryDirectory() as work:
    library = Path(work, driver.libraries[0])
    functions = sorted(set(re.findall(r"\bcu[A-Z]\w+", source.read_text())))
    Path(work, "functions.c").write_text("".join(f"void {name}(void) {{}}\n" for name in functions))
    name = f"-Wl,-soname,{library.name}"
    subprocess.run(["gcc", "-shared", name, "-o", library, Path(work, "functions.c")], check=True)
    os.environ["TRITON_LIBCUDA_PATH"] = work
    made = _build("cuda_utils", str(source), work, driver.library_dirs(), driver.include_dirs, driver.libraries, [])
    folder.joinpath("driver.so").write_bytes(Path(made).read_bytes())
