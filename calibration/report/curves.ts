/** The curves of a run as drawings: spectra with their harmonics, and everything that has one line for each channel. */
import type { CalibrationRun, Measurement, Trace } from '../../core/contract/index.js';
import { grouped } from './grouped.js';
import { type Content, type Html, html } from './html.js';
import { colour, draw, frequencyAxis, Plot, padded } from './plot.js';
import { cellOf, conditionsOf } from './words.js';

const TITLES: Readonly<Record<Trace['name'], string>> = {
  spectrum: 'Spectrum',
  'noise-spectrum': 'Noise spectrum',
  response: 'Frequency response',
  phase: 'Phase',
  'thd-frequency': 'Distortion against frequency',
  'thd-level': 'Distortion against level',
  linearity: 'Gain linearity',
  headroom: 'Headroom',
  crosstalk: 'Crosstalk against frequency',
};
const ORDER = Object.keys(TITLES);

/** What is not magnified further, in the unit of the axis: a flat response shall look flat. */
const LEAST_SPAN: Partial<Record<Trace['name'], number>> = { response: 1, phase: 10, linearity: 1 };

interface Point {
  x: number;
  y: number | null;
  /** The noise hides what there is: it is no more than that. */
  atMost: boolean;
}

/** All figures of a run, those of one kind and axis in one drawing. */
export function curves(run: CalibrationRun): Html[] {
  const groups = grouped(run.traces, ({ name, channel, conditions, y }) =>
    JSON.stringify([name, y, ...(name === 'spectrum' ? [channel, conditionsOf(conditions)] : [])]),
  );
  return [...groups.values()]
    .sort(([a], [b]) => ORDER.indexOf(a!.name) - ORDER.indexOf(b!.name))
    .map((traces) => (traces[0]!.name === 'spectrum' ? spectrum(traces[0]!, run) : lines(traces, run)));
}

export function captioned(title: string, note: Content, drawing: Html, legend: Content = null): Html {
  return html`<figure><figcaption><b>${title}</b>${note ? html` <span class="quiet">${note}</span>` : null}${legend}</figcaption>${drawing}</figure>`;
}

export function legend(entries: readonly (readonly [label: string, series: number])[]): Content {
  if (entries.length < 2) return null;
  return html`<span class="legend">${entries.map(
    ([label, series]) => html`<span><i style="background:${colour(series)}"></i>${label}</span>`,
  )}</span>`;
}

function points({ xs, ys, noiseLimited }: Trace): Point[] {
  return xs.map((x, n) => ({ x, y: ys[n]!, atMost: noiseLimited?.[n] === true }));
}

function spectrum(trace: Trace, run: CalibrationRun): Html {
  const { hz, ...others } = trace.conditions;
  const line = points(trace).filter(({ x }) => x >= 10);
  const marks = typeof hz === 'number' ? harmonics(trace, hz) : [];
  const levels = line.flatMap(({ y }) => (y === null ? [] : [y]));
  const top = Math.max(0, ...levels);
  const frequency = frequencyAxis(trace.xs);
  const drawing = draw(`Spectrum of channel ${trace.channel}`, {
    x: frequency.x,
    y: { domain: [Math.min(...levels, -140) - 5, top + 12], label: axis(trace.y), grid: true },
    marks: [
      frequency.axis,
      Plot.line(line, { x: 'x', y: 'y', stroke: colour(trace.channel ?? 1), strokeWidth: 1, clip: true }),
      Plot.dot(marks, { x: 'x', y: 'y', r: 2.5, fill: 'var(--mark)' }),
      Plot.text(marks, { x: 'x', y: 'y', text: 'label', dy: -9, fontSize: 9, fill: 'var(--mark)', fontWeight: 600 }),
      Plot.frame({ strokeOpacity: 0.3 }),
    ],
  });
  const told = levelsOf(trace, run.measurements);
  const note = [
    trace.channel ? `channel ${trace.channel}` : '',
    conditionsOf(typeof hz === 'number' ? { hz, ...others } : others),
    told.join(', '),
  ];
  return captioned(TITLES.spectrum, note.filter((part) => part !== '').join('; '), drawing);
}

/** The fundamental and its multiples, at the highest line next to where they must be. */
function harmonics({ xs, ys }: Trace, hz: number) {
  const found: { order: number; x: number; y: number; label: string }[] = [];
  for (let order = 1; order <= 9; order++) {
    let best = -1;
    xs.forEach((x, n) => {
      if (Math.abs(x / (hz * order) - 1) > 0.012 || ys[n] === null) return;
      if (best < 0 || ys[n]! > ys[best]!) best = n;
    });
    if (best < 0) continue;
    found.push({ order, x: xs[best]!, y: ys[best]!, label: labelOf(order) });
  }
  return found[0]?.order === 1 ? found : [];
}

/** What was measured of the harmonics; the lines of the drawing are only where they stand out of the noise. */
function levelsOf({ channel, conditions: { hz, level_dbfs } }: Trace, measurements: readonly Measurement[]): string[] {
  return [2, 3, 4, 5].flatMap((order) => {
    const found = measurements.find(
      (m) =>
        m.name === `h${order}_dbc` &&
        m.channel === channel &&
        m.conditions['hz'] === hz &&
        m.conditions['level_dbfs'] === level_dbfs,
    );
    return found?.value == null ? [] : [`H${order} ${cellOf(found)} dBc`];
  });
}

/** On a logarithmic axis the higher ones have no room side by side. */
function labelOf(order: number): string {
  if (order === 1) return 'f';
  return order <= 5 || order % 2 === 1 ? `H${order}` : '';
}

function lines(traces: readonly Trace[], run: CalibrationRun): Html {
  const { name, x, y } = traces[0]!;
  const all = traces.flatMap(({ ys }) => ys.filter((value) => value !== null));
  const xs = traces.flatMap((trace) => trace.xs);
  const title = TITLES[name];
  const bounds = name === 'response' ? responseLimits(run, traces) : [];
  const labels = traces.map((trace) =>
    trace.channel !== undefined ? `channel ${trace.channel}` : conditionsOf(trace.conditions),
  );
  const series = traces.map((trace, n) =>
    labels.every((label) => label.startsWith('channel')) ? (trace.channel ?? n + 1) : n + 1,
  );
  const pair = ({ conditions: { driven, undriven } }: Trace) => `${driven} into ${undriven}`;
  const frequency = x.scale === 'log' ? frequencyAxis(xs) : null;
  const drawing = draw(title, {
    x: frequency?.x ?? { label: axis(x), grid: true },
    y: {
      domain: padded([...all, ...bounds], LEAST_SPAN[name] ?? 6),
      label: axis(y),
      grid: true,
    },
    marks: [
      frequency?.axis,
      Plot.ruleY(bounds, { stroke: 'var(--limit)', strokeDasharray: '5 4' }),
      ...traces.map((trace, n) =>
        Plot.line(points(trace), {
          x: 'x',
          y: 'y',
          stroke: colour(series[n]!),
          strokeWidth: name === 'noise-spectrum' ? 1 : n === 0 ? 2.5 : 1.5,
          // Lines that lie on each other are both seen.
          strokeDasharray: n === 0 || name === 'noise-spectrum' ? undefined : '6 5',
          clip: true,
        } as Plot.LineOptions),
      ),
      ...(xs.length / traces.length <= 40
        ? traces.map((trace, n) =>
            Plot.dot(points(trace), {
              x: 'x',
              y: 'y',
              r: 2,
              stroke: colour(series[n]!),
              fill: ({ atMost }: Point) => (atMost ? 'var(--page)' : colour(series[n]!)),
            }),
          )
        : []),
      Plot.frame({ strokeOpacity: 0.3 }),
    ],
  });
  const common = name === 'crosstalk' ? '' : conditionsOf(traces[0]!.conditions);
  const of = name === 'thd-frequency' || name === 'thd-level' ? y.name : '';
  const entries = traces.map((trace, n) => [name === 'crosstalk' ? pair(trace) : labels[n]!, series[n]!] as const);
  const hollow = traces.some(({ noiseLimited }) => noiseLimited) ? 'hollow: at most that, the noise hides it' : '';
  return captioned(title, [of, common, hollow].filter((part) => part !== '').join('; '), drawing, legend(entries));
}

/** The limits of the response lie around the gain at 1 kHz. */
function responseLimits({ limits }: CalibrationRun, traces: readonly Trace[]): number[] {
  const rule = limits?.limits.find(({ measurement }) => measurement === 'fr_deviation_db');
  const [first] = traces;
  if (rule?.max === undefined || !first) return [];
  const near = (n: number) => Math.abs(Math.log(first.xs[n]! / 1000));
  const at = first.xs.reduce((best, _, n) => (near(n) < near(best) ? n : best), 0);
  const gain = first.ys[at] ?? 0;
  return [gain - rule.max, gain + rule.max];
}

function axis({ name, unit }: { name: string; unit: string }): string {
  const label = name.charAt(0).toUpperCase() + name.slice(1);
  return unit === '' ? label : `${label} (${unit})`;
}
