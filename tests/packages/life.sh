#!/usr/bin/env bash
# The life of Kiln's packages on one host. Runs inside the chroot that run.sh makes, which is thrown away afterwards.
set -uo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
passed=0
failed=0

# check WHAT COMMAND…, in this shell, so that what it starts can be stopped later
check() {
  local what=$1
  shift
  if "$@" > /tmp/output 2>&1; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAILED: %s\n  %s\n%s\n' "$what" "$*" "$(cat /tmp/output)"
  fi
}
not() { ! "$@"; }
says() {  # says TEXT COMMAND…
  local text=$1
  shift
  "$@" 2>&1 | grep -F -- "$text"
}
facts() { test "$(stat -c '%U:%G %a' "$1")" = "$2"; }
in_group() { id -nG "$1" | tr ' ' '\n' | grep -x "$2"; }
as() {  # as USER COMMAND…
  local user=$1
  shift
  setpriv --reuid "$user" --regid "$user" --init-groups -- "$@"
}
await() {  # await COMMAND…: until it succeeds, for a minute
  local i
  for ((i = 0; i < 600; i++)); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.1
  done
  "$@"
}
last_sequence() { kiln --json station show | sed -n 's/.*"last_sequence": *"\([0-9]*\)".*/\1/p'; }

start_station() {  # as its unit would
  install -d -o kiln -g kiln -m 750 /run/kiln
  # Not through `as`: the number must be the daemon's own, not that of a shell around it.
  setpriv --reuid kiln --regid kiln --init-groups -- /usr/bin/kilnd > /tmp/kilnd.log 2>&1 &
  station=$!
  await kiln health
}
stop_station() {
  kill "$station"
  wait "$station"
}

install_packages() { apt-get install -q -y --no-install-recommends "$@"; }

echo "== install"
check "the packages install" install_packages /packages/kiln_*.deb /packages/kilnd_*.deb /packages/kiln-gateway_*.deb \
  /packages/kiln-sim_*.deb
check "the state is the station's alone" facts /var/lib/kiln 'kiln:kiln 750'
check "records are for the group" facts /var/lib/kiln/exports 'kiln:kiln 2750'
check "backups are the station's" facts /var/lib/kiln/backups 'kiln:kiln 750'
check "the station may open terminals" in_group kiln dialout
check "the gateway may open the socket" in_group kiln-gateway kiln
check "the gateway's user has no more groups" test "$(id -nG kiln-gateway | wc -w)" = 2
check "the service starts with the system" test -L /etc/systemd/system/multi-user.target.wants/kilnd.service
check "the gateway starts with the system" test -L /etc/systemd/system/multi-user.target.wants/kiln-gateway.service
check "the backup is made every night" test -L /etc/systemd/system/timers.target.wants/kiln-backup.timer
check "systemd takes the units" systemd-analyze verify kilnd.service kiln-gateway.service kiln-backup.service kiln-backup.timer
# shellcheck disable=SC2016
check "the configuration is a conffile" says /etc/kiln/kiln.toml dpkg-query -W -f '${Conffiles}' kilnd
check "udev rules are there" test -f /usr/lib/udev/rules.d/90-kiln.rules
check "stub loaders are there" test -s /usr/share/kiln/stubs/esp32c3.json
check "completion is there" bash -n /usr/share/bash-completion/completions/kiln
check "the configuration is good" as kiln /usr/bin/kilnd --check-config
check "no file of another user or mode" not grep -vE ' root/root ' <(for p in /packages/k*.deb; do dpkg-deb -c "$p"; done)
check "sums of all files" dpkg --verify kiln kilnd kiln-gateway kiln-sim

echo "== run"
check "the daemon runs as the station's user" start_station
check "its socket is for its group" facts /run/kiln/kilnd.sock 'kiln:kiln 660'
check "health knows of the stubs" says "Stub loaders for" kiln health
setpriv --reuid kiln-gateway --regid kiln-gateway --init-groups -- /usr/bin/kiln-gateway > /tmp/gateway.log 2>&1 &
gateway=$!
check "the gateway reaches the daemon" await kiln-gateway --check
check "root backs up" kiln backup
check "the backup belongs to the station" facts "$(ls /var/lib/kiln/backups/*.tar.gz)" 'kiln:kiln 600'
check "health knows of the backup" await says "The last backup is 0 hours old" kiln health
before=$(last_sequence)
check "events are counted" test "$before" -ge 1
kill "$gateway"
check "the daemon stops well" stop_station

echo "== upgrade"
echo '# A line of the site.' >> /etc/kiln/kiln.toml
check "the next version installs" install_packages -o Dpkg::Options::=--force-confold /packages/next.deb
check "the site's configuration stays" says "A line of the site" cat /etc/kiln/kiln.toml
check "the new one lies beside it" says "A line of the next version" cat /etc/kiln/kiln.toml.dpkg-dist
check "the service is still enabled" test -L /etc/systemd/system/multi-user.target.wants/kilnd.service
check "the daemon runs again" start_station
check "every event is there" test "$(last_sequence)" -ge "$before"
check "the ledger is sound" kiln station verify
check "the daemon stops well" stop_station

echo "== restore"
check "a backup is restored with the word" sh -c 'echo yes | kiln restore /var/lib/kiln/backups/*.tar.gz'
check "the restored ledger is the station's" facts /var/lib/kiln/ledger.db 'kiln:kiln 600'
check "the daemon runs on it" start_station
check "the restored ledger is sound" kiln station verify
check "the daemon stops well" stop_station

echo "== remove"
check "the packages are removed" apt-get remove -q -y kilnd kiln kiln-gateway kiln-sim
check "the programs are gone" not ls /usr/bin/kilnd /usr/bin/kiln /usr/bin/kiln-gateway /usr/bin/kiln-sim
check "the configuration stays" test -f /etc/kiln/kiln.toml
check "the ledger stays" test -f /var/lib/kiln/ledger.db

echo "== purge"
check "the packages are purged" dpkg --purge kilnd kiln kiln-gateway kiln-sim
check "the configuration is gone" not test -e /etc/kiln
check "nothing is enabled" not sh -c 'ls /etc/systemd/system/*.wants/ | grep kiln'
check "the ledger stays, for good" test -f /var/lib/kiln/ledger.db
check "the backups stay" sh -c 'ls /var/lib/kiln/backups/*.tar.gz'
# shellcheck disable=SC2016
check "the package manager knows nothing of them" not says kiln dpkg-query -W -f '${Package} ${db:Status-Status}\n'

echo "== install again"
check "the packages install again" install_packages /packages/kiln_*.deb /packages/kilnd_*.deb
check "the daemon goes on where it was" start_station
check "every event is there" test "$(last_sequence)" -ge "$before"
check "the daemon stops well" stop_station

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
