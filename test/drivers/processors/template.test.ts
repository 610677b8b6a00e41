import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isOutboardError } from '../../../core/errors.js';
import { compare, type Decimal, decimalOf, toNumber } from '../../../drivers/processors/decimal.js';
import { compileTemplate, type Template } from '../../../drivers/processors/template.js';

const compile = (text: string): Template => compileTemplate(text, ['w', 'abs', 'in'], 'here');
const values = (w: number, index = 1): Map<string, Decimal> =>
  new Map([
    ['w', decimalOf(w)],
    ['in', decimalOf(index)],
  ]);
const read = (template: Template, line: string): Record<string, number> | undefined => {
  const found = template.parse(line);
  return found && Object.fromEntries([...found].map(([name, d]) => [name, toNumber(d)]));
};

test('a template formats and parses the same lines', () => {
  const cases: [string, number, number, string][] = [
    ['In{in:02} Aud{w:+03}', -9, 7, 'In07 Aud-09'],
    ['In{in:02} Aud{w:+03}', 0, 16, 'In16 Aud+00'],
    ['{in}*{w}V', 50, 1, '1*50V'],
    ['GAIN {w:+06.2}/{in}', -6, 1, 'GAIN -06.00/1'],
    ['{w:05.1}{{{in}}}', 12.5, 3, '012.5{3}'],
    ['{w:03}*{in}', -5, 3, '-05*3'],
    ['{w:.2}{in}', 1.5, 3, '1.503'],
  ];
  for (const [text, w, index, line] of cases) {
    assert.equal(compile(text).format(values(w, index)), line);
    assert.deepEqual(read(compile(text), line), { w, in: index });
  }
});

test('only the exact line is taken', () => {
  const template = compile('GAIN {w:+06.2}');
  assert.deepEqual(read(template, 'GAIN +06.00'), { w: 6 });
  const wrong = [
    'GAIN +6.00',
    'GAIN +06.0',
    'GAIN 06.00',
    'GAIN +06.00 ',
    ' GAIN +06.00',
    'gain +06.00',
    'GAIN +006.00',
  ];
  for (const line of [...wrong, 'GAIN -00.00', 'GAIN +06.00\n', 'xGAIN +06.00', 'GAIN +06,00', ''])
    assert.equal(template.parse(line), undefined, line);
  assert.equal(compile('Vol{w}').parse('Vol07'), undefined);
  assert.equal(compile('Vol{w}').parse('Vol-0'), undefined);
});

test('a value that does not fit has no line', () => {
  assert.equal(compile('{w:02}').format(values(100)), undefined);
  assert.equal(compile('{w:02}').format(values(-10)), undefined);
  assert.equal(compile('{w}').format(values(0.5)), undefined);
  assert.equal(compile('{w}').format(new Map()), undefined);
});

test('a template that can be read in two ways is refused with its path', () => {
  for (const text of [
    '{in}{w}',
    '{in}1{w}',
    '{x}',
    '{w}{w}',
    '{w:3}',
    '{w:+01}',
    '{w',
    'w}',
    '{}',
    '',
    '{w:01.1}',
    '€{w}',
  ]) {
    assert.throws(
      () => compile(text),
      (error) => isOutboardError(error, 'profile.invalid') && error.details.path === 'here',
      text,
    );
  }
});

/** Templates from the grammar, and beyond it. */
const spec = fc
  .tuple(fc.boolean(), fc.option(fc.integer({ min: 1, max: 8 })), fc.option(fc.integer({ min: 0, max: 4 })))
  .map(([plus, width, places]) => {
    const text = `${plus ? '+' : ''}${width === null ? '' : `0${width}`}${places === null ? '' : `.${places}`}`;
    return text === '' ? '' : `:${text}`;
  });
const literal = fc
  .string({ unit: fc.constantFrom(...'A1+-. *0{{}}'), maxLength: 3 })
  .map((s) => s.replace(/[{}]/g, '$&$&'));
const templateText = fc
  .tuple(literal, spec, literal, spec, literal)
  .map(([a, s1, b, s2, c]) => `${a}{in${s1}}${b}{w${s2}}${c}`);

test('whatever template is accepted, every line that it makes comes back as what was said', () => {
  let accepted = 0;
  fc.assert(
    fc.property(
      templateText,
      fc.integer({ min: 1, max: 2000 }),
      fc.integer({ min: -99_999, max: 99_999 }),
      fc.integer({ min: 0, max: 4 }),
      (text, index, digits, places) => {
        let template: Template;
        try {
          template = compile(text);
        } catch (error) {
          return isOutboardError(error, 'profile.invalid');
        }
        const w = { digits: BigInt(digits), places };
        const line = template.format(
          new Map([
            ['w', w],
            ['in', decimalOf(index)],
          ]),
        );
        if (line === undefined) return true;
        accepted++;
        const back = template.parse(line);
        return (
          back !== undefined &&
          compare(back.get('w') as Decimal, w) === 0 &&
          compare(back.get('in') as Decimal, decimalOf(index)) === 0
        );
      },
    ),
    { numRuns: 3000 },
  );
  assert.ok(accepted > 100, `only ${accepted} lines were made`);
});

test('whatever line is accepted is the one that the template makes', () => {
  const texts = ['GAIN {w:+06.2}', 'In{in:02} Aud{w:+03}', '{in}*{w}G', '{w:.1}', 'x{w:03}'];
  const noise = fc.string({ unit: fc.constantFrom(...'GAIN Aud0123456789+-.*x'), maxLength: 16 });
  fc.assert(
    fc.property(fc.constantFrom(...texts), fc.oneof(noise, fc.string()), (text, line) => {
      const template = compile(text);
      const found = template.parse(line);
      return found === undefined || template.format(found) === line;
    }),
    { numRuns: 3000 },
  );
});
