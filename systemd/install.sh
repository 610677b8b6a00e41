#!/bin/sh
# Makes services of this folder's outboard: users, sockets, units, udev rules. May be run again, after an update for instance.
#   systemd/install.sh --card NAME [--tty DEVICE]... [--rig DIR] [--courier DIR]
#     --card NAME    the sound card, as /proc/asound/cards names it in brackets
#     --tty DEVICE   a serial port that the rig controls a processor by, for instance /dev/ttyS1; may be given several times
#     --rig DIR      rig/ of `outboard init`: becomes /etc/outboard/rig
#     --courier DIR  courier/ of `outboard init`: becomes /etc/outboard/courier
# What is in /etc/outboard already is left as it is. It starts nothing: see README.md beside it.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
package=$(dirname -- "$here")
units=/etc/systemd/system
card='' ttys='' rig='' courier=''

fail() {
  echo "install.sh: $1" >&2
  exit "${2:-64}"
}

while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || fail "$1 needs a value; see the head of this file"
  case $1 in
    --card) card=$2 ;;
    --tty) ttys="$ttys $2" ;;
    --rig) rig=$2 ;;
    --courier) courier=$2 ;;
    *) fail "unknown option $1; see the head of this file" ;;
  esac
  shift 2
done

[ "$(id -u)" = 0 ] || fail 'needs root' 77
case $card in '' | *[!A-Za-z0-9_-]*) fail '--card NAME is missing or is not a name: look at /proc/asound/cards' ;; esac
for tty in $ttys; do
  case $tty in /dev/*) ;; *) fail "--tty $tty: a path below /dev" ;; esac
done
[ -f "$package/build/daemon/rig/main.js" ] || fail "$package is not built: npm ci" 78
node=$(command -v node) || fail 'there is no node on the search path' 69

# --- users and groups
install -D -m 0644 "$here/sysusers.conf" /etc/sysusers.d/outboard.conf
systemd-sysusers /etc/sysusers.d/outboard.conf
install -D -m 0644 "$here/tmpfiles.conf" /etc/tmpfiles.d/outboard.conf
systemd-tmpfiles --create /etc/tmpfiles.d/outboard.conf

# --- units, with the paths of this machine
for unit in outboardd.service outboard-courier.service; do
  sed "s|^ExecStart=/usr/bin/node /opt/outboard/|ExecStart=$node $package/|" "$here/$unit" >"$units/$unit"
done
install -m 0644 "$here/outboardd-courier.socket" "$here/outboardd-control.socket" "$units/"

# --- devices
drop="$units/outboardd.service.d/50-ttys.conf"
rules=/etc/udev/rules.d/72-outboard.rules
mkdir -p "${drop%/*}"
echo '[Service]' >"$drop"
sed "s|@CARD@|$card|; /^LABEL=/d" "$here/72-outboard.rules" >"$rules"
for tty in $ttys; do
  # A link such as /dev/serial/by-id/… names another node after each plugging in: the class of its driver is allowed, and the link's owner set.
  case $tty in
    /dev/serial/*) printf 'DeviceAllow=char-ttyUSB rw\nDeviceAllow=char-ttyACM rw\n' >>"$drop" ;;
    *) echo "DeviceAllow=$tty rw" >>"$drop" ;;
  esac
  case $tty in /dev/serial/*) match="SYMLINK==\"${tty#/dev/}\"" ;; *) match="KERNEL==\"${tty#/dev/}\"" ;; esac
  echo "SUBSYSTEM==\"tty\", $match, OWNER=\"outboard\", GROUP=\"outboard\", MODE=\"0600\", TAG-=\"uaccess\", ENV{ID_MM_DEVICE_IGNORE}=\"1\"" >>"$rules"
done
echo 'LABEL="outboard_end"' >>"$rules"
# MIDI: without its module the sequencer's node belongs to nobody in particular. A host without MIDI in its kernel does without.
echo snd-seq >/etc/modules-load.d/outboard.conf
modprobe snd-seq 2>/dev/null || echo 'There is no snd-seq in this kernel: no processor over MIDI.' >&2
udevadm control --reload
udevadm trigger --action=change --subsystem-match=sound --subsystem-match=tty
udevadm settle

# --- configuration and keys
mkdir -p /etc/outboard
if [ -n "$rig" ] && [ ! -e /etc/outboard/rig ]; then
  cp -R "$rig" /etc/outboard/rig.new
  rm -rf /etc/outboard/rig.new/state /etc/outboard/rig.new/run
  sed -i 's|^stateDir: state$|stateDir: /var/lib/outboard|
    s|^  courier: run/courier.sock|  courier: /run/outboard/courier.sock|
    s|^  control: run/control.sock|  control: /run/outboard/control.sock|' /etc/outboard/rig.new/rig.yaml
  chown -R root:outboard /etc/outboard/rig.new
  find /etc/outboard/rig.new -type d -exec chmod 0750 {} +
  # Everybody may read how the rig is set up and whom it trusts; its keys are its own, and the journal's is handed to it by systemd.
  chmod 0755 /etc/outboard/rig.new
  find /etc/outboard/rig.new/keys -type f -exec chown outboard:outboard {} + -exec chmod 0400 {} +
  chown root:root /etc/outboard/rig.new/keys/journal.key
  mv /etc/outboard/rig.new /etc/outboard/rig
fi
if [ -n "$courier" ] && [ ! -e /etc/outboard/courier ]; then
  cp -R "$courier" /etc/outboard/courier.new
  sed -i 's|^socket: ../rig/run/courier.sock$|socket: /run/outboard/courier.sock|' /etc/outboard/courier.new/courier.yaml
  chown -R root:outboard-courier /etc/outboard/courier.new
  find /etc/outboard/courier.new -type d -exec chmod 0750 {} +
  find /etc/outboard/courier.new/tls -name key.pem -exec chown outboard-courier {} + -exec chmod 0400 {} +
  mv /etc/outboard/courier.new /etc/outboard/courier
fi

systemctl daemon-reload
echo 'Installed. Now: systemctl enable --now outboardd.service outboard-courier.service'
