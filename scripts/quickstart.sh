#!/usr/bin/env bash
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# From a fresh Debian machine to a trained model in one command.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/quickstart.sh [--help] [options of gpt_train...]

Installs what is missing (apt; sudo only when not root), configures and builds gpt_train, and trains the model
of inputs/tiny.toml with 2 ranks, its layers split over both (tp=2). The text is /usr/share/common-licenses:
the licence texts that every Debian machine has. Nothing but packages is downloaded. Ends with a sample of what
the model writes and its figure of merit. Options are handed to gpt_train, which runs in the folder that the script is called
in: scripts/quickstart.sh --data mytext --steps 1000
TEXT
}

data=()
has_data=false
for argument in "$@"; do
  case ${argument} in
    -h | --help) usage; exit 0 ;;
    --data | --data=* | --data-path | --data-path=*) has_data=true ;;
  esac
done
called_in=${PWD}
# shellcheck source=scripts/environment.sh
source "$(dirname "$0")/environment.sh"

text=/usr/share/common-licenses
what="the options given"
if ! ${has_data}; then
  if [[ ! -d ${text} ]]; then
    echo "quickstart.sh: ${text} is not on this machine; give a text: scripts/quickstart.sh --data FILE" >&2
    exit 66
  fi
  data=(--data "${text}")
  what=${text}
fi

stage "Packages" scripts/install_dependencies.sh
stage "Configure (build/release)" cmake --preset release --log-level=NOTICE
stage "Build gpt_train" cmake --build --preset release --parallel "${jobs}" --target gpt_train

launcher=$(sed --quiet 's/^MPIEXEC_EXECUTABLE:[A-Z]*=//p' build/release/CMakeCache.txt)
tree=${PWD}
cd "${called_in}"
stage "Train inputs/tiny.toml on ${what}, 2 ranks, tp=2" "${launcher}" -n 2 \
  "${tree}/build/release/apps/gpt_train/gpt_train" --config "${tree}/inputs/tiny.toml" --tp 2 "${data[@]}" "$@"
