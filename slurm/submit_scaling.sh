#!/usr/bin/env bash
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# Submits the points of a scaling plan that are not measured yet, one job array for every number of nodes.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: slurm/submit_scaling.sh PLAN.toml [options of sbatch...]

Submits slurm/scaling.sbatch: points on the same number of nodes as one array, with the tasks of the largest of them.
TESSERA_BUILD and TESSERA_RUN_DIR are the settings of the job (slurm/README.md).
TEXT
}

plan=${1:-}
case ${plan} in
  --help) usage; exit 0 ;;
  "" | -*) usage >&2; exit 64 ;;
esac
shift
home=$(realpath "$(dirname "$0")/..")
export TESSERA_HOME=${home}
programs=()
[[ ! -d ${TESSERA_BUILD:=${home}/build/release} ]] || programs=(--programs "${TESSERA_BUILD}")  # else from PATH
driver=(python3 "${home}/bench/scaling/run.py" "${plan}" --launcher srun "${programs[@]}"
  --out "${TESSERA_RUN_DIR:-scaling-results}")
list=$("${driver[@]}" --list)

declare -A points=() tasks=()
while IFS=$'\t' read -r number nodes ranks runs _; do
  [[ ${runs%/*} != "${runs#*/}" ]] || continue
  points[${nodes}]+=${points[${nodes}]:+,}${number}
  per_node=$(((ranks + nodes - 1) / nodes))
  tasks[${nodes}]=$((per_node > ${tasks[${nodes}]:-0} ? per_node : ${tasks[${nodes}]:-0}))
done <<<"${list}"
if ((${#points[@]} == 0)); then
  echo "all points of ${plan} are measured already"
  exec "${driver[@]}"  # measures nothing, and keeps the plan for the report
fi
for nodes in "${!points[@]}"; do
  sbatch --nodes="${nodes}" --ntasks-per-node="${tasks[${nodes}]}" --array="${points[${nodes}]}" \
    --output=%x-%A_%a.log "$@" "${home}/slurm/scaling.sbatch" "${plan}"
done
