#!/bin/sh
# A real SLURM of one node on this machine, from Debian's packages, unpacked into a folder and not installed:
#   . benchmarks/slurm_on_one_machine.sh /tmp/slurm      start it, and let this shell find its commands
#   kill $(cat /tmp/slurm/run/*.pid)                     stop it
# Jobs of the partition `high` take the place of those of `low`, which go back to the queue. Needs root.
place=$1
root=$place/root
mkdir -p "$place/debs" "$place/run" "$place/spool" "$place/state" "$root"
if [ ! -e "$root/usr/sbin/slurmctld-wlm" ]; then
    (cd "$place/debs" && apt-get download -qq munge libmunge2 libhwloc15 slurm-wlm-basic-plugins slurm-client \
        slurmctld slurmd)
    for package in "$place"/debs/*.deb; do dpkg -x "$package" "$root"; done
fi
export PATH="$root/usr/bin:$PATH" SLURM_CONF="$place/slurm.conf"
libraries="$root/usr/lib/x86_64-linux-gnu"
export LD_LIBRARY_PATH="$libraries:$libraries/slurm-wlm:$LD_LIBRARY_PATH"
host=$(hostname -s)
cat > "$SLURM_CONF" <<END
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmctldPort=16817
SlurmdPort=16818
AuthType=auth/munge
AuthInfo=socket=$place/run/munge.socket
CredType=cred/munge
MpiDefault=none
PluginDir=$libraries/slurm-wlm
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
SchedulerParameters=sched_interval=2,batch_sched_delay=1
StateSaveLocation=$place/state
SlurmdSpoolDir=$place/spool
SlurmctldPidFile=$place/run/slurmctld.pid
SlurmdPidFile=$place/run/slurmd.pid
SlurmctldLogFile=$place/slurmctld.log
SlurmdLogFile=$place/slurmd.log
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=low Nodes=$host Default=YES PriorityTier=1 GraceTime=20
PartitionName=high Nodes=$host PriorityTier=2
END
[ -e "$place/munge.key" ] || (umask 077 && head -c 1024 /dev/urandom > "$place/munge.key")
"$root/usr/sbin/munged" --force --key-file="$place/munge.key" --socket="$place/run/munge.socket" \
    --pid-file="$place/run/munged.pid" --log-file="$place/munged.log" --seed-file="$place/munge.seed"
"$root/usr/sbin/slurmctld-wlm"
"$root/usr/sbin/slurmd-wlm" -d "$root/usr/sbin/slurmstepd-wlm"
sinfo
