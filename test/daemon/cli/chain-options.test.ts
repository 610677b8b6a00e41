/** The chain on the command line of `outboard bounce`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command } from 'commander';
import { chainOptions, settingValue } from '../../../daemon/cli/chain-options.js';

function parse(...words: string[]) {
  const command = new Command('bounce').argument('<file>').exitOverride();
  command.configureOutput({ writeErr: () => undefined });
  const chain = chainOptions(command);
  command.action(() => undefined);
  command.parse(['song.wav', ...words], { from: 'user' });
  return chain();
}

test('processors in order, each with its settings, drive and verify', () => {
  const words =
    '--processor eq-1 gain=-6 on=off --drive -3 --processor delay-1 delay=12.5 --verify sent-ok --drive 0.5';
  assert.deepEqual(parse(...words.split(' ')), [
    { processor: 'eq-1', settings: { gain: -6, on: false }, verify: 'required', driveDb: -3 },
    { processor: 'delay-1', settings: { delay: 12.5 }, verify: 'sent-ok', driveDb: 0.5 },
  ]);
});

test('one option may name several processors', () => {
  assert.deepEqual(parse('--processor', 'a', 'x=1', 'b', 'y=2'), [
    { processor: 'a', settings: { x: 1 }, verify: 'required' },
    { processor: 'b', settings: { y: 2 }, verify: 'required' },
  ]);
});

test('a setting of one axis keeps its name', () => {
  assert.deepEqual(parse('--processor', 'a', 'gain@channel=2=-1.5')[0]!.settings, { 'gain@channel=2': -1.5 });
});

test('values are numbers, switches or text', () => {
  const values: [string, unknown][] = [
    ['-6', -6],
    ['1e3', 1000],
    ['.5', 0.5],
    ['on', true],
    ['true', true],
    ['off', false],
    ['false', false],
    ['"on"', 'on'],
    ['"6"', '6'],
    ['plate', 'plate'],
    ['', ''],
    ['Infinity', 'Infinity'],
    ['0x10', '0x10'],
  ];
  for (const [text, value] of values) assert.equal(settingValue(text), value, text);
});

test('what makes no chain is refused', () => {
  for (const words of [
    ['--drive', '3'],
    ['--verify', 'required'],
    ['--processor', 'gain=1'],
    ['--processor', 'Song.wav'],
    ['--processor', 'a', 'x=1', 'x=2'],
    ['--processor', 'a', '1x=1'],
    ['--processor', 'a', '--drive', '25'],
    ['--processor', 'a', '--drive', 'loud'],
    ['--processor', 'a', '--verify', 'never'],
  ])
    assert.throws(() => parse(...words), { code: 'commander.invalidArgument' }, words.join(' '));
});
