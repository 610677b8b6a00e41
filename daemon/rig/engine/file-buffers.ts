/**
 * How much of a take may wait between the engine and its files, in seconds of sound. Sixteen takes at 96 kHz hold 12 MB for each second.
 */

/** Read ahead of the engine, which is itself a second ahead of the hardware. */
export const READ_AHEAD_SECONDS = 1;
/** Behind the engine, at most, before the take is spoiled: a disk or a sealing thread may stand still for that long. */
export const WRITE_BEHIND_SECONDS = 2;
