/**
 * The chain of a bounce as options of a command: `--processor NAME key=value …`, then `--drive` and `--verify` for the processor
 * named before them; the order of the options is the order of the chain.
 */
import { type Command, InvalidArgumentError } from 'commander';
import type { ChainLink } from '../../core/contract/job.js';
import { LocalName, type Settings, type SettingValue } from '../../core/contract/primitives.js';

const SETTING = /^([A-Za-z][A-Za-z0-9]{0,31}(?:@[a-z]{1,16}=\d{1,4})?)=(.*)$/s;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

/** Adds the three options; the returned function gives the chain once the command line has been read. */
export function chainOptions(command: Command): () => ChainLink[] {
  const chain: ChainLink[] = [];
  const last = (option: string): ChainLink => {
    const link = chain.at(-1);
    if (!link) throw new InvalidArgumentError(`${option} belongs after the --processor that it is for.`);
    return link;
  };
  command
    .option(
      '--processor <name settings...>',
      'a processor and its settings, key=value; several in the order of the chain',
      (word: string) => {
        if (word.includes('=')) addSetting(last('A setting').settings, word);
        else if (LocalName.safeParse(word).success) chain.push({ processor: word, settings: {}, verify: 'required' });
        else throw new InvalidArgumentError('Neither a processor nor key=value. Put the file before the options.');
      },
    )
    .option(
      '--drive <dB>',
      'digital level into the processor named before, -120 to 24 (default: 0)',
      (text: string) => {
        const driveDb = Number(text);
        if (!NUMBER.test(text) || driveDb < -120 || driveDb > 24)
          throw new InvalidArgumentError('A level in dB, -120 to 24.');
        last('--drive').driveDb = driveDb;
      },
    )
    .option(
      '--verify <how>',
      'required, or sent-ok for a processor that cannot be read back (default: required)',
      (text: string) => {
        if (text !== 'required' && text !== 'sent-ok') throw new InvalidArgumentError('required or sent-ok.');
        last('--verify').verify = text;
      },
    );
  return () => chain;
}

/** `key=value …` as settings. @throws InvalidArgumentError */
export function parseSettings(words: readonly string[]): Settings {
  const settings: Settings = {};
  for (const word of words) addSetting(settings, word);
  return settings;
}

function addSetting(settings: Settings, word: string): void {
  const [, name, text] = SETTING.exec(word) ?? [];
  if (name === undefined || text === undefined) throw new InvalidArgumentError('A setting is key=value.');
  if (Object.hasOwn(settings, name)) throw new InvalidArgumentError(`${name} is set twice.`);
  settings[name] = settingValue(text);
}

/** `-6` is a number, `true`, `false`, `on`, `off` are switches, the rest is text; `"on"` with its quotes is the text `on`. */
export function settingValue(text: string): SettingValue {
  if (NUMBER.test(text)) return Number(text);
  if (text === 'true' || text === 'on') return true;
  if (text === 'false' || text === 'off') return false;
  return /^".*"$/s.test(text) ? text.slice(1, -1) : text;
}
