#!/bin/sh
# Build images of this folder: images/build.sh cpu sandbox
# BUILDER is podman or docker (the first that is here), REPOSITORY what stands before a name (localhost/aira-), TAG the
# version, BUILD_OPTIONS further options of the builder, such as --build-arg PIP_EXTRA_INDEX_URL=URL.
set -eu
cd "$(dirname "$0")/.."
builder=${BUILDER:-$(command -v podman || command -v docker)} ||
    { echo "images/build.sh: neither podman nor docker is here; install one, or name it: BUILDER=..." >&2; exit 2; }
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' aira_lib/__init__.py)
revision=${REVISION:-$(git describe --always --dirty --abbrev=12)}
repository=${REPOSITORY:-localhost/aira-} tag=${TAG:-$version}

for name in "$@"; do
    [ -f "images/$name/Containerfile" ] || { echo "images/build.sh: there is no image $name" >&2; exit 2; }
    # shellcheck disable=SC2086
    "$builder" build --file "images/$name/Containerfile" --tag "$repository$name:$tag" \
        --build-arg "VERSION=$version" --build-arg "REVISION=$revision" --build-arg "TRAIN=${repository}train:$tag" \
        ${BUILD_OPTIONS:-} .
    echo "$repository$name:$tag, of revision $revision"
done
