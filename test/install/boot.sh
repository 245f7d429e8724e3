#!/bin/sh
# Boots systemd in this process's own namespaces, on a copy of this machine's files
# that is forgotten afterwards. $1 is an empty directory.
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
mkdir -p proc sys dev run tmp
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /dev dev
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
ip link set lo up
# Nothing of this machine's is started there.
printf '[Unit]\nDescription=Test\n' > etc/systemd/system/test.target
: > etc/machine-id
mkdir tmp/old
pivot_root . tmp/old
umount -l tmp/old
exec env -i container=test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	/lib/systemd/systemd --unit=test.target --log-target=null
