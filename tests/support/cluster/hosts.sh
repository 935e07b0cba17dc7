#!/usr/bin/env bash
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# Makes this machine look like several hosts h1, h2, ...: a host is a network, host-name, IPC and mount namespace with
# a /dev/shm of its own, and all of them hang on one switch. The file system is shared, as on a cluster. Nothing is
# made in the machine's own network. Needs root.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: hosts.sh COMMAND...       TESSERA_CLUSTER: folder of the cluster's state, its name a name for its namespaces

  check             whether this machine can have hosts; the reason if it cannot
  up N OWNER        make hosts h1 ... hN; they go when the process OWNER ends, however it ends
  run HOST PROGRAM ARGUMENT...    as the program on that host
  rsh HOST COMMAND...             the same for a shell's command: the launch agent of mpirun
  cut HOST          take its cable out        heal HOST  put it back
  crash HOST        kill all that runs on it
  received HOST     bytes that came over its cable so far
  down              end all programs on all hosts, then the hosts, then the folder

Exit codes: 64 usage, 69 this machine cannot have hosts (the reason is printed).
TEXT
}

refuse() {
  echo "hosts.sh: $1" >&2
  exit "${2:-69}"
}

state=${TESSERA_CLUSTER:?the folder of the state of the cluster}
name=${state##*/}
switch=${name}-switch

namespace_of() { echo "${name}-$1"; }
keeper_of() { cat "${state}/keeper.$1"; }

check_machine() {
  ((EUID == 0)) || refuse "hosts are made of network namespaces, which takes root"
  local tool
  for tool in ip nsenter unshare; do
    command -v "${tool}" >/dev/null || refuse "'${tool}' is missing; scripts/install_dependencies.sh --all installs it"
  done
  try "network namespaces" ip netns add "${switch}"
  try "bridges (CAP_NET_ADMIN)" ip -n "${switch}" link add bridge type bridge
  try "pairs of network devices" ip -n "${switch}" link add trial type veth peer name trial2
  try "way to end them" ip -n "${switch}" link delete trial
  try "mounts of its own (CAP_SYS_ADMIN)" unshare --uts --ipc --mount --propagation private \
    mount -t tmpfs shared-memory /dev/shm
  try "settings of TCP" ip netns exec "${switch}" sysctl --quiet --write net.ipv4.tcp_retries2=5
}

# try WHAT COMMAND...: a command that containers with few capabilities, and some kernels, refuse.
try() {
  local reason
  reason=$("${@:2}" 2>&1) || refuse "this machine, or the container, has no $1: ${reason}"
}

# What runs inside a host as long as it exists: gives it its name, its shared memory and its neighbours' names.
keep_host() {
  local host=$1
  hostname "${host}"
  mount -t tmpfs shared-memory /dev/shm
  mount --bind "${state}/hosts" /etc/hosts
  mkdir -p "${state}/tmp/${host}"
  echo $$ >"${state}/keeper.${host}.new"
  mv "${state}/keeper.${host}.new" "${state}/keeper.${host}"
  exec sleep infinity
}

make_host() {
  local number=$1 host=h$1 namespace
  namespace=$(namespace_of "${host}")
  ip netns add "${namespace}"
  ip -n "${namespace}" link add eth0 type veth peer name "port${number}" netns "${switch}"
  ip -n "${switch}" link set "port${number}" master bridge up
  ip -n "${namespace}" address add "10.77.0.${number}/24" dev eth0
  ip -n "${namespace}" link set eth0 up
  ip -n "${namespace}" link set lo up
  # A connection to a host that is gone is given up within seconds instead of a quarter of an hour.
  ip netns exec "${namespace}" sysctl --quiet --write net.ipv4.tcp_retries2=5
  setsid ip netns exec "${namespace}" unshare --uts --ipc --mount --propagation private \
    "${BASH}" "$0" keep_host "${host}" </dev/null >/dev/null 2>&1 &
  local tries=0
  until [[ -s ${state}/keeper.${host} ]]; do
    ((++tries <= 500)) || refuse "host ${host} does not begin" 70
    sleep 0.02
  done
}

up() {
  local count=$1 owner=$2 number
  check_machine
  mkdir -p "${state}"
  echo 127.0.0.1 localhost >"${state}/hosts"
  for ((number = 1; number <= count; ++number)); do echo "10.77.0.${number} h${number}" >>"${state}/hosts"; done
  setsid "${BASH}" "$0" outlive "${owner}" </dev/null >/dev/null 2>&1 &
  ip -n "${switch}" link set bridge up
  for ((number = 1; number <= count; ++number)); do make_host "${number}"; done
}

# Becomes a program on a host: run HOST PROGRAM ARGUMENT...
run_on() {
  local host=$1
  shift
  export TMPDIR=${state}/tmp/${host}
  exec nsenter --target "$(keeper_of "${host}")" --net --uts --ipc --mount --wd="${PWD}" -- "$@"
}

# Kills what runs on a host but the processes given, until nothing is left.
kill_programs() {
  local namespace left pid tries=0
  namespace=$(namespace_of "$1")
  shift
  while ((++tries <= 100)); do
    left=()
    for pid in $(ip netns pids "${namespace}" 2>/dev/null); do
      [[ " $* " == *" ${pid} "* ]] || left+=("${pid}")
    done
    ((${#left[@]} > 0)) || return 0
    kill -KILL "${left[@]}" 2>/dev/null || true
    sleep 0.02
  done
}

# Waits for the end of a process, then takes the hosts down.
outlive() {
  tail --pid="$1" --follow /dev/null
  down
}

# May run more than once, also at the same time as another: all of it is gone in the end.
down() {
  local namespace
  for namespace in $(ip netns list 2>/dev/null | awk -v head="${name}-" 'index($1, head) == 1 { print $1 }'); do
    kill_programs "${namespace#"${name}"-}"
    ip netns delete "${namespace}" 2>/dev/null || true
  done
  rm --recursive --force "${state}"
}

command=${1:-}
case "${command}/$#" in
  check/1) trap down EXIT; check_machine ;;
  up/3) up "$2" "$3" ;;
  keep_host/2) keep_host "$2" ;;
  outlive/2) outlive "$2" ;;
  run/1 | run/2 | rsh/1 | rsh/2) usage >&2; exit 64 ;;
  run/*) shift; run_on "$@" ;;
  rsh/*) run_on "$2" sh -c "${*:3}" ;;
  cut/2) ip -n "${switch}" link set "port${2#h}" down ;;
  heal/2) ip -n "${switch}" link set "port${2#h}" up ;;
  crash/2) kill_programs "$2" "$(keeper_of "$2")" ;;
  received/2) run_on "$2" cat /sys/class/net/eth0/statistics/rx_bytes ;;
  down/1) down ;;
  *) usage >&2; exit 64 ;;
esac
