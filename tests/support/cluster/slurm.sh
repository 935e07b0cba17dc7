#!/usr/bin/env bash
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# Starts a Slurm on the hosts that hosts.sh has made: controller and authentication on h1, a node on every host, all
# state in the folder of the cluster. `hosts.sh down` ends it with the hosts.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: slurm.sh up N CORES MISSED       TESSERA_CLUSTER: as for hosts.sh

  up N CORES MISSED   start Slurm on h1 ... hN; a node has CORES cores (as many as wanted: they are not bound) and two
               GPUs (device files that do nothing), and is given up after MISSED seconds without an answer. Clients
               run with SLURM_CONF=$TESSERA_CLUSTER/slurm.conf on a host.

Exit codes: 64 usage, 69 Slurm is not installed, 70 a daemon does not begin (its log is printed).
TEXT
}

state=${TESSERA_CLUSTER:?the folder of the state of the cluster}
hosts=$(dirname "$0")/hosts.sh
export PATH=${PATH}:/usr/sbin:/sbin

on() { "${hosts}" run "$@"; }

check_machine() {
  local tool
  for tool in munged slurmctld slurmd sbatch; do
    command -v "${tool}" >/dev/null && continue
    echo "slurm.sh: '${tool}' is missing; scripts/install_dependencies.sh --all installs it" >&2
    exit 69
  done
}

write_configuration() {
  local count=$1 cores=$2 seconds_to_be_missed=$3
  cat >"${state}/slurm.conf" <<TEXT
ClusterName=tessera
SlurmctldHost=h1
SlurmUser=root
AuthInfo=socket=${state}/munge/socket
StateSaveLocation=${state}/control
SlurmdSpoolDir=${state}/spool/%n
TmpFS=${state}/tmp/%n
SlurmctldPidFile=${state}/slurmctld.pid
SlurmdPidFile=${state}/slurmd.%n.pid
SlurmctldLogFile=${state}/log/slurmctld
SlurmdLogFile=${state}/log/slurmd.%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=${state}/log/jobs
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
SlurmctldTimeout=10
SlurmdTimeout=${seconds_to_be_missed}
KillWait=10
MinJobAge=3600
SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=1
GresTypes=gpu
NodeName=h[1-${count}] CPUs=${cores} RealMemory=4000${gres:-} State=UNKNOWN
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=main Nodes=ALL Default=YES MaxTime=60 PriorityTier=1 GraceTime=30 State=UP
PartitionName=urgent Nodes=ALL MaxTime=60 PriorityTier=2 PreemptMode=OFF State=UP
TEXT
  # No control groups are used, but slurmd looks for them where there is no /sys to its liking.
  echo CgroupPlugin=cgroup/v1 >"${state}/cgroup.conf"
}

# Slurm wants GPUs to be device files. Where none can be made, the nodes have no GPUs.
make_devices() {
  local number
  for number in 0 1; do
    mknod "${state}/dev/nvidia${number}" c 1 3 2>/dev/null || return 0
  done
  echo "Name=gpu File=${state}/dev/nvidia[0-1]" >"${state}/gres.conf"
  gres=" Gres=gpu:2"
}

start_munge() {
  (umask 077 && head --bytes=128 /dev/urandom >"${state}/munge/key")
  on h1 munged --key-file="${state}/munge/key" --socket="${state}/munge/socket" --pid-file="${state}/munge/pid" \
    --log-file="${state}/munge/log" --seed-file="${state}/munge/seed" --force 2>/dev/null
}

wait_for_nodes() {
  local count=$1 tries=0
  until (($(on h1 sinfo --noheader --Node --partition=main --states=idle 2>/dev/null | wc --lines) == count)); do
    if ((++tries > 600)); then
      echo "slurm.sh: the nodes do not begin:" >&2
      tail --lines=20 "${state}"/log/* >&2
      exit 70
    fi
    sleep 0.1
  done
}

up() {
  local count=$1 cores=$2 missed=$3 number
  check_machine
  mkdir -p "${state}"/{control,dev,log,munge,spool}
  chmod 711 "${state}/munge"
  make_devices
  write_configuration "${count}" "${cores}" "${missed}"
  start_munge
  export SLURM_CONF=${state}/slurm.conf
  on h1 slurmctld -c
  for ((number = 1; number <= count; ++number)); do on "h${number}" slurmd; done
  wait_for_nodes "${count}"
}

case "${1:-}/$#" in
  up/4) up "$2" "$3" "$4" ;;
  *) usage >&2; exit 64 ;;
esac
