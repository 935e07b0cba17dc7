# shellcheck shell=bash
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# What the job scripts of this folder share; they read it, it is not submitted. README.md has the settings.

note() { printf 'job: %s\n' "$*"; }

# refuse CODE TEXT: one message, and the end.
refuse() {
  printf 'job: error: %s\n' "$2" >&2
  exit "$1"
}

# Where each setting has its value from; what is not here was given in the environment.
declare -A origin_of=()

# site_setting NAME VALUE: for env/<site>.sh, what holds unless the environment says otherwise.
site_setting() {
  [[ -v $1 ]] && return
  printf -v "$1" '%s' "$2"
  origin_of[$1]="of the site ${TESSERA_SITE}"
}

# setting NAME DEFAULT MEANING: gives a setting that nobody has given its default, and prints it.
setting() {
  if [[ ! -v $1 ]]; then
    printf -v "$1" '%s' "$2"
    origin_of[$1]="assumed"
  fi
  printf 'job:   %s = %s (%s; %s)\n' "$1" "${!1:-none}" "${origin_of[$1]:-given}" "$3"
}

# A job that was given fewer nodes while it waited still has the number of tasks that it was submitted with.
correct_tasks() {
  local most=$((SLURM_JOB_NUM_NODES * ${SLURM_NTASKS_PER_NODE:-SLURM_NTASKS}))
  ((SLURM_NTASKS > most)) || return 0
  export SLURM_NTASKS=${most} SLURM_NPROCS=${most}
}

# Reads the site's file and prints where this job runs and what it takes for granted.
begin_job() {
  trap 'signal=USR1' USR1  # one that comes before the run is handed on to it
  correct_tasks
  note "${SLURM_JOB_NAME} ${SLURM_JOB_ID}, start $((${SLURM_RESTART_COUNT:-0} + 1)), ${SLURM_NTASKS} ranks on" \
    "${SLURM_JOB_NUM_NODES} nodes (${SLURM_JOB_NODELIST}), $(date --iso-8601=seconds)"
  note "settings (TESSERA_SITE names a file in ${TESSERA_HOME}/slurm/env):"
  setting TESSERA_HOME - "the tree of Tessera, or share/tessera of an installed one"
  setting TESSERA_SITE generic "what this site wants"
  local site=${TESSERA_HOME}/slurm/env/${TESSERA_SITE}.sh
  [[ -r ${site} ]] || refuse 66 "TESSERA_SITE=${TESSERA_SITE}: there is no ${site}; env/template.sh shows how to make one"
  # shellcheck source=slurm/env/generic.sh
  source "${site}"
  setting TESSERA_BUILD "${TESSERA_HOME}/build/release" "where the programs were built; else they are looked for in PATH"
  setting TESSERA_CPU_BIND cores "srun --cpu-bind"
  setting TESSERA_GPU_BIND "$([[ -n ${SLURM_GPUS_ON_NODE:-} ]] && echo single:1)" "srun --gpu-bind, for jobs with GPUs"
  setting OMP_NUM_THREADS 1 "library threads of a rank"
  setting TESSERA_ANSWER_S 30 "seconds that a node has to answer when a run has failed"
  export OMP_NUM_THREADS
}

# find_program NAME FOLDER: sets `program`, from the build's FOLDER or from PATH.
find_program() {
  program=${TESSERA_BUILD}/$2/$1
  [[ -x ${program} ]] || program=$(command -v "$1") ||
    refuse 66 "no $1 in ${TESSERA_BUILD}/$2 nor in PATH: build it before, set TESSERA_BUILD, or load its module in the site's file"
  note "program: ${program}"
}

# The kind of start-up service that the MPI of a program speaks, by the library that it is linked to. In a portable build
# the program in bin/ only starts another one, that of the processor's level, and all levels have the same MPI.
mpi_plugin_of() {
  local libraries linked=$1 of_level
  for of_level in "$(dirname "$(realpath "$1")")/../libexec/tessera"/*/"$(basename "$1")"; do
    [[ ! -x ${of_level} ]] || linked=${of_level}
  done
  libraries=$(ldd "${linked}" 2>&1) || true
  case ${libraries} in
    *"not found"*) refuse 78 "$1 misses libraries here: $(grep 'not found' <<<"${libraries}" | tr --squeeze-repeats '\t\n' ' ')" ;;
    *libmpi_cray.so*) echo cray_shasta ;;
    *libmpi.so.40* | *libmpi.so.80*) echo pmix ;;         # Open MPI 3, 4 and 5
    *libmpich.so* | *libmpi.so.12*) echo pmi2 ;;           # MPICH and what keeps its binary interface
    *) refuse 78 "cannot tell which MPI $1 is linked to; set TESSERA_MPI_PLUGIN to what srun --mpi= wants" ;;
  esac
}

# choose_plugin PROGRAM: sets TESSERA_MPI_PLUGIN. A wrong one makes every rank believe to be alone, so it is compared
# with what this Slurm offers.
choose_plugin() {
  local found=${TESSERA_MPI_PLUGIN:-} offered
  [[ -n ${found} ]] || found=$(mpi_plugin_of "$1") || exit
  setting TESSERA_MPI_PLUGIN "${found}" "srun --mpi, by default that of the MPI in the program"
  offered=$(srun --mpi=list 2>&1)
  grep --quiet --word-regexp -- "${TESSERA_MPI_PLUGIN}" <<<"${offered}" ||
    refuse 78 "this Slurm has no --mpi=${TESSERA_MPI_PLUGIN}, only: $(tr --squeeze-repeats '\t\n' ' ' <<<"${offered}")"
}

# The end of this job's time, in seconds since 1970: Slurm up to 22.05 does not tell its jobs by itself.
export_end_time() {
  local end
  end=$(scontrol show job "${SLURM_JOB_ID}" | sed --quiet 's/.* EndTime=\([^ ]*\).*/\1/p') || return 0
  unset SLURM_JOB_END_TIME
  SLURM_JOB_END_TIME=$(date --date="${end}" +%s 2>/dev/null) || return 0  # a job without a limit
  export SLURM_JOB_END_TIME
  note "the time of this job ends at ${end}"
}

# make_launcher PROGRAM OPTION...: sets `launcher`, the srun that starts it, with OPTIONs.
make_launcher() {
  choose_plugin "$1"
  launcher=(srun "--mpi=${TESSERA_MPI_PLUGIN}" "--cpu-bind=${TESSERA_CPU_BIND}" "${@:2}")
  if [[ -n ${SLURM_CPUS_PER_TASK:-} ]]; then
    launcher+=("--cpus-per-task=${SLURM_CPUS_PER_TASK}")  # srun has not taken it from the job since 22.05
  fi
  if [[ -n ${TESSERA_GPU_BIND} ]]; then
    launcher+=("--gpu-bind=${TESSERA_GPU_BIND}")
  fi
}

# Before srun and gpt_train: keeps a SIGUSR1 that comes before they are ready for it (GNU env since 8.31).
set_aside_early_signals=()
if env --block-signal=USR1 true 2>/dev/null; then set_aside_early_signals=(env --block-signal=USR1); fi

# Runs a command, prints it before, and sets `status` to its exit code. Signals to this shell do not end it before the
# command: SIGUSR1 is handed on to the ranks, SIGTERM reaches them by itself. After a SIGTERM there may be little time,
# so that a node which is the reason is excluded at once.
signal=none
run_to_its_end() {
  local pid before=()
  note "runs:$(printf ' %q' "$@")"
  [[ $1 != srun ]] || before=("${set_aside_early_signals[@]}")
  "${before[@]}" "$@" </dev/null &
  pid=$!
  trap 'signal=TERM' TERM
  while [[ -n ${signal} ]]; do
    case ${signal} in
      USR1) kill -USR1 "${pid}" 2>/dev/null || true ;;
      TERM) exclude_nodes "$(given_up_nodes)" ;;
    esac
    signal=
    status=0
    # shellcheck disable=SC2034  # for the caller
    wait "${pid}" || status=$?
  done
  signal=none
}

# Print the nodes that Slurm has given up, of NODELIST or of this job, a line each.
given_up_among() { sinfo --noheader --Node --nodes="$1" --format=%N --states=down,drain,fail,no_respond | sort --unique; }

given_up_nodes() { given_up_among "${SLURM_JOB_NODELIST}"; }

# A start of this job leaves the names of its nodes in a file until it has ended with all of them alive. The first node of
# a job takes the script with it that would exclude it, and Slurm lets nodes be excluded only while a job is pending: it is
# done when the job is requeued the next time.
own_nodes=
lost_starts=0
lost_before=
remember_nodes() {
  local record
  own_nodes=${TESSERA_RUN_DIR}/nodes-${SLURM_JOB_ID}.${SLURM_RESTART_COUNT:-0}
  for record in "${TESSERA_RUN_DIR}/nodes-${SLURM_JOB_ID}".*; do
    [[ -s ${record} && ${record} != "${own_nodes}" ]] || continue
    lost_starts=$((lost_starts + 1))
    lost_before+=$(given_up_among "$(<"${record}")" || true)$'\n'
  done
  lost_before=$(sed '/^$/d' <<<"${lost_before}" | sort --unique)
  [[ -z ${lost_before} ]] || note "lost by an earlier start: ${lost_before//$'\n'/, }"
  echo "${SLURM_JOB_NODELIST}" >"${own_nodes}"
}

# At the end of this start, whose nodes live; after a run that has come to its end, of all starts.
forget_nodes() {
  rm --force "${own_nodes}"
  ((status != 0)) || rm --force "${TESSERA_RUN_DIR}/nodes-${SLURM_JOB_ID}".*
}

# A node that crashed and is back keeps the socket that PMIx had for the step which ran there, and starts no other step of
# that number in this job, whose numbers begin anew with each start: as many steps as starts were lost go before the run.
pass_over_lost_steps() {
  local number
  for ((number = 0; number < lost_starts; ++number)); do
    srun --mpi=none --cpu-bind=none --nodes=1 --ntasks=1 true </dev/null || true
  done
}

# holds_earlier_start LOCK STARTS: whether a directory of checkpoints is locked by one of the last STARTS starts of this
# job, which may live on a node that is cut off.
holds_earlier_start() {
  local job restart starts
  job=$(sed --quiet 's/^job //p' "$1" 2>/dev/null) || return 1
  restart=$(sed --quiet 's/^restart //p' "$1" 2>/dev/null) || return 1
  starts=$((${SLURM_RESTART_COUNT:-0} - ${restart:-0}))
  [[ ${job} == "${SLURM_JOB_ID}" ]] && ((starts > 0 && starts <= $2))
}

# Prints the nodes of this job that start nothing any more, a line each.
silent_nodes() {
  local node names answers
  mapfile -t names < <(scontrol show hostnames "${SLURM_JOB_NODELIST}")
  answers=$(
    for node in "${names[@]}"; do
      timeout --kill-after=2 "${TESSERA_ANSWER_S}" srun --overlap --mpi=none --nodes=1 --ntasks=1 \
        --nodelist="${node}" printenv SLURMD_NODENAME 2>/dev/null </dev/null &
    done
    wait
  )
  # Nothing starts anywhere once Slurm has ended the job; this node, at least, is alive.
  is_among "${SLURMD_NODENAME}" "${answers}" || return 0
  for node in "${names[@]}"; do
    is_among "${node}" "${answers}" || echo "${node}"
  done
}

# is_among WORD LINES
is_among() { grep --quiet --line-regexp --fixed-strings -- "$1" <<<"$2"; }

# Prints why this job must not be requeued, if so: another start of it runs already, of which this one, on a node that was
# cut off, knows nothing; or somebody has cancelled it: it is on its way out, not at the end of its time, and Slurm has
# not put it back.
kept_from_requeue() {
  local job restarts
  job=$(scontrol show job "${SLURM_JOB_ID}") || return 0
  restarts=$(sed --quiet 's/.* Restarts=\([0-9]*\).*/\1/p' <<<"${job}")
  if [[ ${job} == *JobState=RUNNING* ]] && ((restarts > ${SLURM_RESTART_COUNT:-0})); then
    echo "another start of this job runs already"
  elif [[ ${job} =~ JobState=(COMPLETING|CANCELLED)\ Reason=None\  ]] && ((restarts == ${SLURM_RESTART_COUNT:-0})); then
    echo "somebody has cancelled this job; what was saved stays, for another with TESSERA_RUN_DIR=${TESSERA_RUN_DIR@Q}"
  fi
}

# Asks Slurm to start this job again. If Slurm does not want to, the exit code still says what is needed.
requeue_job() {
  local answer reason
  # Slurm then sends SIGTERM to all that this job runs, also to the commands that have something left to do here.
  trap '' TERM
  reason=$(kept_from_requeue)
  if [[ -n ${reason} ]]; then
    note "not requeued: ${reason}"
    exit "${status}"
  fi
  # A job that Slurm has put back by itself, because it made room for another or lost a node, is pending already.
  if answer=$(scontrol requeue "${SLURM_JOB_ID}" 2>&1) || [[ ${answer} == *pending* ]]; then
    note "requeued"
  else
    note "Slurm does not requeue this job (${answer}): submit it again, with TESSERA_RUN_DIR=${TESSERA_RUN_DIR@Q}"
  fi
}

# exclude_nodes LINES: this job, which Slurm has put back into its queue, is not to run any more on these nodes, nor on
# those that earlier starts have lost.
exclude_nodes() {
  local answer before list
  before=$(scontrol show job "${SLURM_JOB_ID}" | sed --quiet 's/.*ExcNodeList=\([^ ]*\).*/\1/p')
  [[ ${before} != "(null)" ]] || before=
  list=$(comm -13 <([[ -z ${before} ]] || scontrol show hostnames "${before}" | sort) \
    <(printf '%s\n' "$1" "${lost_before}" | sed '/^$/d' | sort --unique) | paste --serial --delimiters=,)
  [[ -n ${list} ]] || return 0
  if answer=$(scontrol update "JobId=${SLURM_JOB_ID}" "ExcNodeList=${before:+${before},}${list}" 2>&1); then
    note "will not run on ${list} again"
  else
    note "Slurm does not exclude ${list} (${answer})"
  fi
}
