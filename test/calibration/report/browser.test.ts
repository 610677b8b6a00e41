/** The report as people see it, in a real browser: on light and dark screens, wide and narrow, and on paper. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { reportPage } from '../../../calibration/report/page.js';
import { calibrationReport } from '../../peers/calibration-report.js';
import { Chromium, type Medium } from '../../peers/chromium.js';
import { scratch } from '../../peers/scratch.js';

/** Contrast of text for everybody (WCAG 2.2, 1.4.3), and of what a drawing needs (1.4.11). */
const TEXT_CONTRAST = 4.5;
const LINE_CONTRAST = 3;

const LOOK = `(() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((x) => x / 255);
  const luminance = (colour) => channels(colour)
    .map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4))
    .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
  const contrast = (a, b) => {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  const opaque = (colour) => colour !== 'rgba(0, 0, 0, 0)' && colour !== 'transparent';
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const { backgroundColor } = getComputedStyle(e);
      if (opaque(backgroundColor)) return backgroundColor;
    }
    return 'rgb(255, 255, 255)';
  };
  const worst = (elements, colour) =>
    Math.min(...[...elements].map((e) => contrast(getComputedStyle(e)[colour], behind(e))));
  return {
    page: behind(document.body),
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    text: worst(document.querySelectorAll('h1, h2, h3, p, dt, dd, li, th, td, figcaption, .badge, code'), 'color'),
    axes: worst(document.querySelectorAll('figure svg text:not([fill])'), 'fill'),
    lines: worst([...document.querySelectorAll('figure svg path[stroke^="var"], figure svg g[aria-label="line"]')]
      .filter((e) => getComputedStyle(e).stroke !== 'none'), 'stroke'),
    figures: [...document.querySelectorAll('figure')].map((figure) => {
      const svg = figure.querySelector('svg');
      const { width, height } = svg.getBoundingClientRect();
      return { label: svg.getAttribute('aria-label'), width, height, marks: svg.querySelectorAll('path, rect, circle').length,
        broken: /NaN|undefined|Infinity/.test(svg.outerHTML) };
    }),
  };
})()`;

interface Look {
  page: string;
  overflow: number;
  text: number;
  axes: number;
  lines: number;
  figures: { label: string; width: number; height: number; marks: number; broken: boolean }[];
}

/** What the margins leave of A4, 184 mm, at 96 dots an inch. */
const PAPER_WIDTH = 695;

const MEDIA: [string, Medium][] = [
  ['a light screen', { scheme: 'light', media: 'screen', width: 1400 }],
  ['a dark screen', { scheme: 'dark', media: 'screen', width: 1400 }],
  ['a narrow screen', { scheme: 'light', media: 'screen', width: 420 }],
  ['paper, printed from a dark screen', { scheme: 'dark', media: 'print', width: PAPER_WIDTH }],
];

describe('the report in a browser', () => {
  const looks = new Map<string, Look>();
  let browser: Chromium;

  const cleanUp: (() => unknown)[] = [];
  const suite = { after: (end: () => unknown) => void cleanUp.unshift(end) };
  after(async () => {
    for (const end of cleanUp) await end();
  });

  before(async () => {
    const page = join(await scratch(suite), 'report.html');
    await writeFile(page, reportPage(calibrationReport()));
    browser = await Chromium.start(suite);
    await browser.open(pathToFileURL(page).href);
    for (const [name, medium] of MEDIA) {
      await browser.see(medium);
      looks.set(name, await browser.evaluate<Look>(LOOK));
    }
  });

  it('asks for nothing but itself, and nothing is complained of', () => {
    assert.equal(browser.requests.filter((url) => !url.endsWith('/report.html') && url !== 'about:blank').length, 0);
    assert.deepEqual(browser.complaints, []);
  });

  for (const [name, { media, scheme }] of MEDIA)
    it(`is good to look at on ${name}`, () => {
      const look = looks.get(name)!;
      assert.equal(look.page, scheme === 'dark' && media === 'screen' ? 'rgb(20, 24, 28)' : 'rgb(255, 255, 255)');
      assert.ok(look.overflow <= 0, `wider than the page by ${look.overflow} px`);
      assert.ok(look.text >= TEXT_CONTRAST, `text ${look.text}`);
      assert.ok(look.axes >= TEXT_CONTRAST, `axes ${look.axes}`);
      assert.ok(look.lines >= LINE_CONTRAST, `lines ${look.lines}`);
      assert.ok(look.figures.length > 30, `${look.figures.length} figures`);
      for (const figure of look.figures) {
        assert.ok(figure.width >= 250 && figure.height >= 60, JSON.stringify(figure));
        assert.ok(figure.marks > 0 && !figure.broken, JSON.stringify(figure));
      }
    });

  it('has a drawing of everything that was measured', () => {
    const labels = new Set(looks.get('a light screen')!.figures.map(({ label }) => label));
    for (const label of [
      'Spectrum of channel 1',
      'Spectrum of channel 2',
      'Noise spectrum',
      'Frequency response',
      'Phase',
      'Distortion against frequency',
      'Distortion against level',
      'Gain linearity',
      'Headroom',
      'Crosstalk against frequency',
      'Crosstalk at 1.28 kHz',
      'Crosstalk at 10.24 kHz',
      'Gain over time',
      'THD+N over time',
      'Noise over time',
    ])
      assert.ok(labels.has(label), label);
  });
});
