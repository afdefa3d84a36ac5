#!/bin/sh
# What the scripts of this folder share; sourced by them with `here` set to the folder.

env_file=${KILN_ENV_FILE:-$here/.env}

die() {
  echo "$0: $*" >&2
  exit 1
}

# setting NAME [DEFAULT]: the environment's value, else the one of .env, else DEFAULT. Nothing is executed.
setting() {
  if printenv "$1"; then return; fi
  found=$(sed -n "s/^$1=//p" "$env_file" 2>/dev/null | tail -n 1 | sed "s/^\"\(.*\)\"\$/\1/; s/^'\(.*\)'\$/\1/")
  printf '%s\n' "${found:-${2:-}}"
}

# path_setting NAME DEFAULT: as compose reads a path, relative to this folder.
path_setting() {
  found=$(setting "$1" "$2")
  case $found in
    /*) printf '%s\n' "$found" ;;
    *) printf '%s\n' "$here/${found#./}" ;;
  esac
}

require_env() {
  [ -f "$env_file" ] || die "there is no $env_file; compose/start makes one, or copy .env.example"
}

# compose ARGUMENTS…: docker compose with the overlays of KILN_OVERLAYS.
compose() {
  set -- "$@"
  overlays=$(setting KILN_OVERLAYS)
  files="-f $here/compose.yaml"
  for overlay in $overlays; do
    [ -f "$here/compose.$overlay.yaml" ] || die "KILN_OVERLAYS names \"$overlay\", and there is no compose.$overlay.yaml"
    files="$files -f $here/compose.$overlay.yaml"
  done
  # $files is a list of words, and this folder's path has no blanks (compose/start sees to that).
  # shellcheck disable=SC2086
  docker compose --project-directory "$here" --env-file "$env_file" $files "$@"
}

# Waits until everything is healthy, at most KILN_START_TIMEOUT seconds; shows what is not, and its last lines.
await_health() {
  if ! compose up -d --wait --wait-timeout "$(setting KILN_START_TIMEOUT 120)" "$@"; then
    compose ps --all >&2
    compose logs --tail 50 >&2
    die "not everything became healthy"
  fi
}
