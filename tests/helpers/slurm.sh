#!/usr/bin/env bash
# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
# Run a command, by default a training of the quickstart's model with two tasks on CPUs, on a real
# Slurm of one node, which is set up for it and torn down afterwards:
#   sudo tests/helpers/slurm.sh
#   sudo tests/helpers/slurm.sh srun --partition=test --ntasks=2 hostname
# For Debian and Ubuntu, as root; installs the packages slurm-wlm and munge if they are missing.
# Nothing outside a temporary folder is configured. PYTHON names the interpreter.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
WORK="$(mktemp -d /tmp/mmvsa-slurm.XXXXXX)"
PIDS=()

die() {
  echo "slurm.sh: $1" >&2
  exit 1
}

# The last started first: Slurm's daemons sign their farewell by munge.
stop() {
  local index pid
  for ((index = ${#PIDS[@]} - 1; index >= 0; index--)); do
    pid="${PIDS[index]}"
    kill "$pid" 2>/dev/null || true
    for _ in {1..20}; do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.5
    done
    kill -9 "$pid" 2>/dev/null || true
  done
  rm -rf "$WORK"
}

install_packages() {
  if command -v slurmctld slurmd srun munged >/dev/null; then return; fi
  apt-get install --yes --no-install-recommends slurm-wlm munge || die 'apt-get install failed'
}

# Munge signs the messages of Slurm's processes; this one has its own key and socket.
start_munge() {
  (umask 077 && head -c 1024 /dev/urandom >"$WORK/munge.key")
  munged --foreground --key-file="$WORK/munge.key" --socket="$WORK/munge.socket" \
    --pid-file="$WORK/munge.pid" --seed-file="$WORK/munge.seed" --log-file="$WORK/munge.log" \
    --force 2>"$WORK/munged.log" &
  PIDS+=($!)
}

write_config() {
  cat >"$WORK/slurm.conf" <<CONF
ClusterName=mmvsa
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=${SLURM_PORT:-6917}
SlurmdPort=$((${SLURM_PORT:-6917} + 1))
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$WORK/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
StateSaveLocation=$WORK/state
SlurmdSpoolDir=$WORK/spool
SlurmctldPidFile=$WORK/slurmctld.pid
SlurmdPidFile=$WORK/slurmd.pid
SlurmctldLogFile=$WORK/slurmctld.log
SlurmdLogFile=$WORK/slurmd.log
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(getconf _NPROCESSORS_ONLN) State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
  mkdir "$WORK/state" "$WORK/spool"
  export SLURM_CONF="$WORK/slurm.conf"
}

start_slurm() {
  slurmctld -D 2>"$WORK/stderr.log" &
  PIDS+=($!)
  slurmd -D 2>>"$WORK/stderr.log" &
  PIDS+=($!)
  for _ in {1..60}; do
    if [[ "$(sinfo --noheader --format=%T 2>/dev/null)" == idle ]]; then return; fi
    sleep 1
  done
  tail -n 20 "$WORK"/*.log >&2
  die 'the node is not ready after a minute'
}

# Two tasks train an epoch; the folder that Slurm's first task has written is looked at.
train() {
  GPUS=2 GPUS_PER_NODE=0 CPUS_PER_TASK=1 OMP_NUM_THREADS=1 \
    "$ROOT/tools/slurm_train.sh" test mmvsa "$ROOT/configs/quickstart/vitaev2-vsa-nano_digits.py" \
    --work-dir "$WORK/run" --cfg-options train_cfg.max_epochs=1 \
    train_dataloader.dataset.indices=64 val_dataloader.dataset.indices=90
  grep -q 'GPU number: 2' "$WORK"/run/*/*.log || die 'the tasks did not train together'
  [[ "$(cat "$WORK/run/last_checkpoint")" == epoch_1.pth ]] || die 'there is no checkpoint'
  echo 'slurm.sh: two tasks of Slurm have trained together'
}

[[ $EUID -eq 0 ]] || die 'needs root, to start the daemons'
trap stop EXIT
install_packages
start_munge
write_config
start_slurm
if [[ $# -gt 0 ]]; then "$@"; else train; fi
