/**
 * One drawing as SVG. Axes and texts take the colour of the page's text, and series the colours of its style sheet, so that the same drawing is
 * right on light, dark and paper.
 */
import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { type Html, raw } from './html.js';

export { Plot };

const { document } = parseHTML('<!doctype html><html><body></body></html>');

export const WIDTH = 640;
export const HEIGHT = 280;

/** Decades, with the steps between them that fit. */
export const HZ_TICKS = [20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000];
const HZ_TICKS_WIDE = [10, ...HZ_TICKS, 50_000, 100_000];

/** @param label what a reader hears who does not see it */
export function draw(label: string, options: Plot.PlotOptions): Html {
  const svg = Plot.plot({
    document: document as never,
    width: WIDTH,
    height: HEIGHT,
    marginLeft: 56,
    marginBottom: 40,
    marginRight: 16,
    style: { fontSize: '11px' },
    ...options,
  });
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', label);
  return raw(svg.outerHTML);
}

/** The colour of a channel, or of whatever is told apart by number; counted from 1. */
export function colour(series: number): string {
  return `var(--series-${((series - 1) % 8) + 1})`;
}

/** A logarithmic axis with the steps of the field; the library would leave out the labels between the decades. */
export function frequencyAxis(xs: readonly number[]): { x: Plot.ScaleOptions; axis: Plot.Markish[] } {
  const domain: [number, number] = [Math.max(10, Math.min(...xs)), Math.max(...xs)];
  const ticks = (domain[0] < 20 ? HZ_TICKS_WIDE : HZ_TICKS).filter((hz) => hz >= domain[0] && hz <= domain[1] * 1.001);
  return {
    x: { type: 'log', domain, axis: null },
    axis: [Plot.gridX(ticks), Plot.axisX(ticks, { text: kilo, label: 'Frequency (Hz)' })],
  };
}

function kilo(hz: number): string {
  return hz >= 1000 ? `${hz / 1000}k` : String(hz);
}

/** Leaves some air on both sides, and does not magnify what is smaller than `least`. */
export function padded(values: readonly number[], least: number): [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const half = Math.max(((high - low) / 2) * 1.1, least / 2);
  const middle = (low + high) / 2;
  return [middle - half, middle + half];
}
