#!/usr/bin/env bash
# Makes the images of docker-compose.yml and Dockerfile available: those that are there, or can be pulled, or else stand-ins
# under the same tags, built here (README.md). The last line says which are used.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
label=reimage.stand-in # on every stand-in: docker images --filter label=reimage.stand-in
export DOCKER_CLI_HINTS=false

images() { sed -nE 's/^ *(image:|FROM) ([^ $]+)( AS .*)?$/\2/p' "$root/docker-compose.yml" "$root/Dockerfile" | sort -u; }

is_there() { docker image inspect "$1" >/dev/null 2>&1; }
made_by() { docker image inspect --format "{{index .Config.Labels \"$label\"}}" "$1" 2>/dev/null; }
# recipe NAME is the digest of what a stand-in is built by, and the value of its label.
recipe() { cat "standin/$1"* | sha256sum | cut -c1-16; }
is_current() { [ "$(made_by "$1")" = "$(recipe "$2")" ]; } # image, name

work=
cleanup() { [ -z "$work" ] || rm -rf "$work"; }
trap cleanup EXIT

say() { printf '%4ds  %s\n' "$SECONDS" "$*" >&2; }

# build IMAGE NAME builds NAME.Dockerfile with the files of $work/NAME.
build() {
  local image=$1 name=$2
  say "building $image"
  mkdir -p "$work/$name"
  docker build --label "$label=$(recipe "$name")" --tag "$image" --file "standin/$name.Dockerfile" "$work/$name" >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; exit 1; }
}

# copy_program FILE FOLDER NAME copies a program with the libraries that it is linked against, if any.
copy_program() {
  local libraries
  mkdir -p "$work/$2/usr/local/bin"
  cp "$1" "$work/$2/usr/local/bin/$3"
  mapfile -t libraries < <(ldd "$1" 2>/dev/null | grep -o '/[^ ]*')
  [ ${#libraries[@]} = 0 ] || cp --parents --dereference --target-directory "$work/$2" "${libraries[@]}"
}

debian=reimage-stand-in/debian
# debian_files extracts PostgreSQL, busybox and what they need; nothing is installed or run.
debian_files() {
  is_current $debian debian && return
  command -v mmdebstrap >/dev/null || apt-get install --yes --quiet --no-install-recommends mmdebstrap >&2
  say "extracting Debian packages"
  mmdebstrap --quiet --variant=extract --include="$(<standin/debian.packages)" bookworm "$work/debian"
  tar -C "$work/debian" -X standin/debian.exclude -c . | docker import --change "LABEL $label=$(recipe debian)" - $debian >/dev/null
}

busybox=reimage-stand-in/busybox
busybox_image() {
  is_current $busybox busybox && return
  debian_files
  local container
  mkdir -p "$work/busybox/bin" "$work/busybox/usr/bin" "$work/busybox/etc/ssl/certs"
  container=$(docker create $debian /bin/busybox)
  docker cp "$container:/bin/busybox" "$work/busybox/bin/busybox"
  docker rm "$container" >/dev/null
  install -m 755 standin/busybox-getent "$work/busybox/usr/bin/getent"
  cp /etc/ssl/certs/ca-certificates.crt "$work/busybox/etc/ssl/certs/"
  build $busybox busybox
}

# go_program PACKAGE prints the path of a program of the nested module.
go_program() {
  local program="$work/bin/${1//\//_}"
  mkdir -p "$work/bin"
  say "building $1: minutes, when nothing of it is in the build cache"
  (cd standin && go build -trimpath -ldflags '-s -w' -o "$program" "$1")
  echo "$program"
}

# temporal_command is the one that the other tests use.
temporal_command() {
  command -v temporal && return
  make --no-print-directory -C "$root" bin/temporal >&2
  echo "$root/bin/temporal"
}

module() { (cd standin && go list -m -f '{{.Dir}}' "$1"); }

# check_version IMAGE MODULE: the program has to be what the tag says.
check_version() {
  local version
  version=$(cd standin && go list -m -f '{{.Version}}' "$2")
  [ "v${1##*:}" = "$version" ] || { echo "docker-compose.yml wants $1, tests/compose/standin/go.mod has $2 $version" >&2; exit 1; }
}

# name_of IMAGE is the name of its Dockerfile in standin/.
name_of() {
  case $1 in
  postgres:*) echo postgres ;;
  temporalio/*) basename "${1%%:*}" ;;
  gcr.io/distroless/static-debian12:nonroot) echo distroless ;;
  *) echo "There is no stand-in for $1: add one to tests/compose/images.sh." >&2 && return 1 ;;
  esac
}

# Each of these collects the files of one stand-in in $work/NAME.
files_of_postgres() {
  debian_files
  install -D -m 755 standin/postgres-entrypoint.sh "$work/postgres/entrypoint.sh"
}

files_of_server() {
  check_version "$1" go.temporal.io/server
  copy_program "$(go_program go.temporal.io/server/cmd/server)" server temporal-server
  install -D -m 755 "$(module go.temporal.io/server)/docker/scripts/sh/entrypoint.sh" "$work/server/etc/temporal/entrypoint.sh"
}

files_of_admin-tools() {
  check_version "$1" go.temporal.io/server
  copy_program "$(go_program go.temporal.io/server/cmd/tools/sql)" admin-tools temporal-sql-tool
  copy_program "$(temporal_command)" admin-tools temporal
  mkdir -p "$work/admin-tools/etc/temporal"
  cp -r --no-preserve=mode "$(module go.temporal.io/server)/schema" "$work/admin-tools/etc/temporal/schema"
}

files_of_ui() {
  local home="$work/ui/home/ui-server" source
  check_version "$1" github.com/temporalio/ui-server/v2
  source=$(module github.com/temporalio/ui-server/v2)
  copy_program "$(go_program github.com/temporalio/ui-server/v2/cmd/server)" ui ui-server
  mkdir -p "$home/config" "$work/ui/bin"
  mv "$work/ui/usr/local/bin/ui-server" "$home/"
  cp --no-preserve=mode "$source/config/docker.yaml" "$home/config/"
  install -m 755 "$source/docker/start-ui-server.sh" "$home/"
  printf '#!/bin/sh\nexec sh "$@"\n' >"$work/ui/bin/bash"
  chmod 755 "$work/ui/bin/bash"
}

files_of_distroless() {
  mkdir -p "$work"/distroless/{etc/ssl/certs,home/nonroot,tmp}
  cp /etc/ssl/certs/ca-certificates.crt "$work/distroless/etc/ssl/certs/"
  echo nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin >"$work/distroless/etc/passwd"
  chmod 1777 "$work/distroless/tmp"
}

stand_in() { # image, name
  busybox_image
  "files_of_$2" "$1"
  build "$1" "$2"
}

work=$(mktemp -d)
real=() stand_ins=() missing=()
for image in $(images); do
  if is_there "$image" && [ -z "$(made_by "$image")" ]; then
    real+=("$image")
  elif ! is_there "$image" && timeout 600 docker pull --quiet "$image" >/dev/null 2>&1; then
    real+=("$image")
  elif [[ $image = golang:* ]]; then
    missing+=("$image") # the test runs the commands of that stage on this machine
  else
    name=$(name_of "$image")
    is_current "$image" "$name" || stand_in "$image" "$name"
    stand_ins+=("$image")
  fi
done
echo "Images: real: ${real[*]:-none}; stand-ins: ${stand_ins[*]:-none}; missing: ${missing[*]:-none} ($SECONDS s)"
