#!/bin/sh
# Build the image for CPUs with buildah, which needs no daemon, and try it: `rlvr doctor`, then a table.
# Where Python's own images can't be pulled, stand-ins are made of Debian's packages and get their names.
set -eu
export STORAGE_DRIVER="${STORAGE_DRIVER:-vfs}" BUILDAH_ISOLATION="${BUILDAH_ISOLATION:-chroot}"
AUTHORITIES=/etc/ssl/certs/ca-certificates.crt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for program in buildah mmdebstrap; do
  command -v $program >/dev/null || { echo "$program is not here: apt-get install buildah mmdebstrap"; exit 2; }
done

stand_in() { # <name> <packages besides Python>; this machine's authorities and settings of pip are its own
  mmdebstrap --quiet --variant=minbase --include="python3,python3-pip,python3-venv,ca-certificates$2" bookworm "$work/root.tar"
  container=$(buildah from scratch)
  buildah add --quiet "$container" "$work/root.tar" / >/dev/null
  buildah copy --quiet "$container" $AUTHORITIES $AUTHORITIES >/dev/null
  buildah run "$container" sh -c 'rm -f /usr/lib/python3*/EXTERNALLY-MANAGED; ln -s /usr/bin/python3 /usr/local/bin/python'
  env | grep -E '^(PIP|SSL)_' | while read -r setting; do buildah config --env "$setting" "$container"; done
  buildah config --env PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
  buildah commit --quiet "$container" "docker.io/library/$1" >/dev/null
  buildah rm "$container" >/dev/null
}

for image in python:3.11-slim python:3.11; do
  buildah pull --quiet "docker.io/library/$image" 2>/dev/null && continue
  buildah inspect "docker.io/library/$image" >/dev/null 2>&1 && continue
  echo "$image can't be pulled: one like it, of Debian's packages"
  [ $image = python:3.11 ] && compiler=,gcc,libc6-dev,python3-dev || compiler=
  stand_in $image "$compiler"
done
wheels=${PIP_FIND_LINKS:+--volume $PIP_FIND_LINKS:$PIP_FIND_LINKS:ro} # a folder of wheels, where pip is told of one
[ -d "${PIP_FIND_LINKS:-}" ] || wheels=
# shellcheck disable=SC2086
buildah bud --layers=false $wheels --tag rlvr .

container=$(buildah from localhost/rlvr)
buildah run "$container" -- rlvr doctor
buildah run "$container" -- rlvr reproduce table=fgrpo/table1 scale=smoke
buildah run "$container" -- test -s results/reports/fgrpo-table1-smoke.html
buildah rm "$container" >/dev/null
echo "localhost/rlvr is built, and makes a table"
