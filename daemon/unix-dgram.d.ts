/** The part of npm `unix-dgram` that is used here; it brings no types. */
declare module 'unix-dgram' {
  export interface DatagramSocket {
    /** Sends at once; `done` is called before this returns. */
    send(data: Buffer, offset: number, length: number, path: string, done: (error?: Error) => void): void;
    on(event: 'error', listener: (error: Error) => void): void;
    close(): void;
  }
  export function createSocket(type: 'unix_dgram'): DatagramSocket;
}
