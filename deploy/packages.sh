#!/usr/bin/env bash
# Installs the Debian 12 packages that tidegate needs. Usage: deploy/packages.sh [build] [test] [bench]
# No service is started: Debian's start-on-install is forbidden for the length of this script.
set -euo pipefail

build=(g++ cmake ninja-build pkg-config ccache mold git ca-certificates
  libpq-dev libsqlite3-dev libboost1.81-dev libboost-json1.81-dev protobuf-compiler libprotobuf-dev
  libspdlog-dev libfmt-dev libcli11-dev libtomlplusplus-dev libzstd-dev libssl-dev
  libcrypt-dev libargon2-dev
  libgtest-dev libgmock-dev libbenchmark-dev)
test=(postgresql-15 postgresql-client-15 pgbouncer sqlite3 openssl python3 python3-flask python3-flask-sqlalchemy
  python3-sqlalchemy python3-bcrypt python3-cryptography python3-psycopg2 gunicorn curl procps util-linux iproute2 haproxy
  nginx-light bind9 bind9-dnsutils prometheus spin clang-format clang-tidy docker-compose)
# What another package has brought stays as it is: these would take its place.
[ -x /bin/busybox ] || test+=(busybox-static)
command -v dockerd >/dev/null || [ -x /usr/sbin/dockerd ] || test+=(docker.io)
bench=(pgloader pgcopydb)

wanted=()
for group in "${@:-build}"; do
  case "$group" in
    build) wanted+=("${build[@]}") ;;
    test) wanted+=("${test[@]}") ;;
    bench) wanted+=("${bench[@]}") ;;
    *) echo "packages.sh: unknown group '$group' (build, test, bench)" >&2; exit 4 ;;
  esac
done

missing=()
for package in "${wanted[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "packages.sh: run as root, or install sudo, to install: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi

policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi
# postgresql-common would make and start a cluster on install; we only want the binaries.
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
  "${as_root[@]}" mkdir -p /etc/postgresql-common
  echo 'create_main_cluster = false' | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
fi

echo "Installing ${#missing[@]} packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends --no-remove \
  -o Dpkg::Options::=--force-confold "${missing[@]}" >/dev/null
