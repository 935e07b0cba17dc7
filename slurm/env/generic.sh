# shellcheck shell=bash
# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# A site of which nothing is known: the defaults of ../job.sh hold, and programs and libraries are found as they are.
