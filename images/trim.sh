#!/bin/sh
# Take out of an environment what no program loads, then compile the rest: images/trim.sh FOLDER
# Bytecode that compares hashes is good whatever time a copy gives its source, and nothing is compiled in a container.
set -eu
here=$1

# Packages' own tests, C++ headers, static libraries and sources of extension modules.
find "$here" -depth -type d -path '*packages/*' \( -name tests -o -path '*/torch/test' \
    -o -path '*/torch/include' -o -path '*/torch/share' -o -path '*/pyarrow/include' \) -exec rm -rf {} +
find "$here" -type f -path '*packages/*' \( -name '*.a' -o -name '*.pyx' -o -name '*.pxd' \
    -o -path '*/torch/bin/test_*' -o -path '*/torch/bin/protoc*' \) -delete
# The web pages of a server that nobody starts here.
find "$here" -depth -type d -path '*/litellm/proxy/_experimental/out' -exec rm -rf {} +

python -m compileall -q -j 0 --invalidation-mode checked-hash "$here" > /dev/null ||
    echo "some files do not compile: templates of packages" >&2
