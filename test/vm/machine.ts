/** The emulated computer. What the guest reports comes over its second serial port; its console goes into a file. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Image } from './image.js';

/** `mitigations=off`: an emulated processor has nothing to guard and pays for it. */
const KERNEL_ARGUMENTS =
  'root=/dev/vda rw console=ttyS0 quiet loglevel=3 mitigations=off audit=0 net.ifnames=0 systemd.show_status=0';

export class Machine {
  readonly #image: Image;
  readonly #disk: string;
  readonly #console: string;
  readonly #cable: string;
  #qemu: ChildProcess | undefined;
  #complaint = '';

  /** `console` and `cable` are files that it makes: what the guest's console says, and the socket that joins its third and fourth serial port. */
  constructor(options: { image: Image; disk: string; console: string; cable: string }) {
    this.#image = options.image;
    this.#disk = options.disk;
    this.#console = options.console;
    this.#cable = options.cable;
  }

  /** Boots. `onLine` gets each line of the second serial port. @returns when the machine is off; what QEMU complained of, if anything */
  async run(env: NodeJS.ProcessEnv, onLine: (line: string) => void): Promise<string> {
    const { root, kernel, initrd } = this.#image;
    const qemu = spawn(
      'qemu-system-x86_64',
      [
        ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-monitor', 'none'],
        // Emulation everywhere: a host's KVM cannot be counted on, and a test that is fast here and slow there hides its races.
        ...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', '2048'],
        ...['-kernel', kernel, '-initrd', initrd, '-append', KERNEL_ARGUMENTS],
        // What the guest writes to its root goes into a temporary file: the image stays as it was built.
        ...['-drive', `file=${root},if=virtio,format=raw,snapshot=on`],
        ...['-drive', `file=${this.#disk},if=virtio,format=raw,readonly=on`],
        ...['-nic', 'none', '-device', 'virtio-rng-pci', '-rtc', 'base=utc'],
        ...['-serial', `file:${this.#console}`, '-chardev', 'stdio,id=report,signal=off', '-serial', 'chardev:report'],
        // Two more real serial ports, with a cable from one to the other.
        ...['-chardev', `socket,id=near,path=${this.#cable},server=on,wait=off`, '-serial', 'chardev:near'],
        ...['-chardev', `socket,id=far,path=${this.#cable}`, '-serial', 'chardev:far'],
      ],
      { env, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    this.#qemu = qemu;
    qemu.stderr.on('data', (chunk) => {
      this.#complaint = (this.#complaint + chunk).slice(-4000);
    });
    createInterface({ input: qemu.stdout }).on('line', (line) => onLine(line.replace(/\r$/, '')));
    await once(qemu, 'close');
    return this.#complaint.trim();
  }

  /** Pulls the plug. May be called at any time. */
  off(): void {
    this.#qemu?.kill('SIGKILL');
  }
}
