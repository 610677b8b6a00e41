/** Crosstalk of every pair as matrices: who is driven, who hears it. */
import type { Measurement } from '../../core/contract/index.js';
import { captioned } from './curves.js';
import type { Html } from './html.js';
import { draw, Plot } from './plot.js';
import { figure, hertz } from './words.js';

/** What is as quiet as this has no shade, what is as loud as that the deepest. */
const QUIETEST_DB = -140;
const LOUDEST_DB = -40;
const AT_HZ = [1000, 10_000];

export function crosstalkMatrices(measurements: readonly Measurement[]): Html[] {
  const pairs = measurements.filter(({ name }) => name === 'crosstalk_selective_db');
  const measured = new Set(pairs.flatMap(({ conditions: { hz } }) => (typeof hz === 'number' ? [hz] : [])));
  const shown = new Set(AT_HZ.flatMap((wanted) => nearest([...measured], wanted)));
  return [...shown].map((hz) =>
    matrix(
      hz,
      pairs.filter(({ conditions }) => conditions['hz'] === hz),
    ),
  );
}

/** Whether it is one of the frequencies that are drawn: there is no room for a history of each. */
export function isDrawn(hz: unknown): boolean {
  return typeof hz === 'number' && AT_HZ.some((wanted) => nearest([hz], wanted).length > 0);
}

/** The one within half an octave. */
function nearest(measured: readonly number[], wanted: number): number[] {
  const distance = (hz: number) => Math.abs(Math.log2(hz / wanted));
  return measured
    .filter((hz) => distance(hz) <= 0.5)
    .sort((a, b) => distance(a) - distance(b))
    .slice(0, 1);
}

function matrix(hz: number, pairs: readonly Measurement[]): Html {
  const cells = pairs.map(({ value, unit, refusal, conditions: { driven, undriven } }) => ({
    driven: String(driven),
    undriven: String(undriven),
    shade: value === null ? 0 : Math.min(1, Math.max(0, (value - QUIETEST_DB) / (LOUDEST_DB - QUIETEST_DB))),
    text: value === null ? (refusal?.reason ?? '−∞') : figure(value, unit),
  }));
  const ends = (end: 'driven' | 'undriven') => [...new Set(cells.map((cell) => cell[end]))].sort();
  const [rows, columns] = [ends('driven'), ends('undriven')];
  const itself = rows.filter((end) => columns.includes(end)).map((end) => ({ driven: end, undriven: end }));
  const title = `Crosstalk at ${hertz(hz)}`;
  const drawing = draw(title, {
    height: 62 + 42 * rows.length,
    marginLeft: 60,
    marginTop: 50,
    marginBottom: 12,
    x: { type: 'band', domain: columns, label: 'Undriven', axis: 'top' },
    y: { type: 'band', domain: rows, label: 'Driven' },
    marks: [
      Plot.cell(cells, {
        x: 'undriven',
        y: 'driven',
        fill: 'var(--series-2)',
        fillOpacity: (cell) => 0.08 + 0.6 * cell.shade,
        inset: 1,
      }),
      Plot.text(cells, { x: 'undriven', y: 'driven', text: 'text', fontSize: 12 }),
      Plot.text(itself, { x: 'undriven', y: 'driven', text: () => '—', fillOpacity: 0.5 }),
    ],
  });
  return captioned(title, 'dB re driven channel, selective', drawing);
}
