/** Peak and loudness of a WAV file, read as it streams past: to show a source beside what the rig certified of the result. */
import { createReadStream } from 'node:fs';
import { LoudnessMeter } from '../../calibration/dsp/loudness.js';
import { ratioToDb } from '../../core/units.js';
import { openWav } from '../../drivers/audio/wav-reader.js';

export interface WavLevels {
  frames: number;
  /** Per channel, re full scale; null for digital silence. */
  peakDbfs: (number | null)[];
  /** BS.1770-5; null when every block is under the gate. */
  integratedLufs: number | null;
}

const BLOCK_FRAMES = 16_384;

/** @throws OutboardError wav.* */
export async function measureWav(file: string): Promise<WavLevels> {
  const reader = await openWav(createReadStream(file, { highWaterMark: 256 * 1024 }));
  try {
    const { rate, channels } = reader.format;
    const meter = new LoudnessMeter(rate, channels);
    const peaks = new Array<number>(channels).fill(0);
    let frames = 0;
    for (;;) {
      const block = await reader.read(BLOCK_FRAMES);
      if (block === null) break;
      meter.add(block, block.length / channels);
      frames += block.length / channels;
      for (let i = 0; i < block.length; i++) {
        const channel = i % channels;
        peaks[channel] = Math.max(peaks[channel]!, Math.abs(block[i]!));
      }
    }
    return {
      frames,
      peakDbfs: peaks.map((peak) => (peak === 0 ? null : ratioToDb(peak))),
      integratedLufs: meter.integratedLufs(),
    };
  } finally {
    await reader.close();
  }
}
