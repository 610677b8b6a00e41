/** What was measured over the years, with the limits of today and the baseline. */
import type { EffectiveLimits, InsertHistoryAnswer, Series } from '../../core/contract/index.js';
import { isAbout } from '../limits/index.js';
import { isDrawn } from './crosstalk.js';
import { captioned, legend } from './curves.js';
import { grouped } from './grouped.js';
import type { Html } from './html.js';
import { colour, draw, HEIGHT, Plot, padded } from './plot.js';
import { conditionsOf, limitOf, nameOf } from './words.js';

const LEAST_SPAN_DB = 0.1;
/** More of them would hide the line; what is beyond a limit keeps its dot. */
const MOST_DOTS = 150;

type History = Pick<InsertHistoryAnswer, 'series' | 'limits' | 'baselines'>;

/** One drawing for each measurement that has a limit or whose drift is watched; channels and pairs are its lines. */
export function trends(history: History): Html[] {
  const shown = history.series.filter(
    (series) =>
      series.points.length >= 2 &&
      isWatched(series, history.limits) &&
      (!('driven' in series.conditions) || isDrawn(series.conditions['hz'])),
  );
  const groups = grouped(shown, ({ name, conditions: { driven: _, undriven: __, ...conditions } }) =>
    JSON.stringify([name, conditions]),
  );
  return [...groups.values()].map((group) => trend(group, history));
}

function isWatched(series: Series, { limits, drift }: EffectiveLimits): boolean {
  return limits.some((rule) => isAbout(rule, series)) || drift.some((rule) => isAbout(rule, series));
}

function trend(group: readonly Series[], { limits, baselines }: History): Html {
  const { name, unit, conditions } = group[0]!;
  const { driven: _, undriven: __, ...same } = conditions;
  const label = (series: Series) =>
    series.channel !== null
      ? `channel ${series.channel}`
      : 'driven' in series.conditions
        ? `${series.conditions['driven']} into ${series.conditions['undriven']}`
        : 'insert';
  // A limit in dBu stands at another place for each full scale.
  const rules = limits.limits.filter((rule) => rule.unit === undefined && isAbout(rule, group[0]!));
  const bounds = rules.flatMap(({ min, max }) => [min, max].filter((bound) => bound !== undefined));
  const values = group.flatMap(({ points }) => points.map(({ value }) => value));
  // A limit far away would press the readings into a line; its figure stands in the caption then.
  const span = Math.max(...values) - Math.min(...values);
  const near = bounds.filter(
    (bound) => Math.min(...values.map((value) => Math.abs(value - bound))) <= Math.max(4 * span, 12),
  );
  const reference = new Set(baselines.map(({ run }) => run));
  const dated = (series: Series) => series.points.map((point) => ({ ...point, date: new Date(point.at * 1000) }));
  const title = nameOf(name);
  const drawing = draw(`${title} over time`, {
    height: HEIGHT * 0.8,
    x: { type: 'utc', label: null, grid: true },
    y: { domain: padded([...values, ...near], LEAST_SPAN_DB), label: unit === '' ? title : unit, grid: true },
    marks: [
      Plot.ruleY(near, { stroke: 'var(--limit)', strokeDasharray: '5 4' }),
      ...group.flatMap((series, n) => {
        const readings = dated(series);
        const stroke = colour(series.channel ?? n + 1);
        return [
          Plot.line(readings, { x: 'date', y: 'value', stroke, strokeWidth: 1.5 }),
          Plot.dot(readings.length <= MOST_DOTS ? readings : readings.filter(({ passed }) => passed === false), {
            x: 'date',
            y: 'value',
            r: 2.5,
            fill: (point) => (point.passed === false ? 'var(--bad)' : stroke),
          }),
          Plot.dot(
            readings.filter(({ run }) => reference.has(run)),
            { x: 'date', y: 'value', r: 6, stroke, strokeWidth: 1.5 },
          ),
        ];
      }),
      Plot.frame({ strokeOpacity: 0.3 }),
    ],
  });
  const note = [
    conditionsOf(same),
    ...rules.map((rule) => `limit ${limitOf(rule, unit)}`),
    group.some(({ points }) => points.some(({ run }) => reference.has(run))) ? 'ring: baseline' : '',
  ];
  const entries = group.map((series, n) => [label(series), series.channel ?? n + 1] as const);
  return captioned(title, note.filter((part) => part !== '').join('; '), drawing, legend(entries));
}
