/** The small shapes of which a profile is made. */
import { z } from 'zod';

/** `name`, `name@axis=n`; in a state a bare name of a parameter with an axis means every index. */
export const SettingKey = z.string().regex(/^[A-Za-z][A-Za-z0-9]{0,31}(@[a-z]{1,16}=[1-9]\d{0,3})?$/);
export const SettingState = z.record(SettingKey, z.union([z.number(), z.boolean(), z.string()]));
export const ParamName = z.string().regex(/^[A-Za-z][A-Za-z0-9]{0,31}$/);
/** Names that templates give a meaning of their own. */
const RESERVED = ['w', 'abs', 'sum', 'addr', 'byte'];
/** Of an axis or a variable: what stands between the braces of a template. */
export const FieldName = z
  .string()
  .regex(/^[a-z]{1,16}$/)
  .refine((name) => !RESERVED.includes(name), `${RESERVED.join(', ')} have a meaning of their own in templates`);
export const Latin1 = z.string().refine((text) => !/[^\0-\xff]/.test(text), 'only latin1 characters');
export const Milliseconds = z.number().min(0).max(600_000);
/** A variable in a pattern: braces with a letter in them, which a quantifier has not; `\p{…}`, `\P{…}` and `\u{…}` are the expression's own. */
export const PATTERN_FIELD = /(?<!\\[pPu])\{[^{}]*[a-z][^{}]*\}/g;
/**
 * JavaScript regular expression, `u` flag. Of a message that is not a line of text it reads the bytes in hex: `F0 7E .. 06 02`. `{dev}` stands for a
 * variable.
 */
export const Pattern = z.string().refine((text) => {
  try {
    new RegExp(text.replace(PATTERN_FIELD, '00'), 'u');
    return true;
  } catch {
    return false;
  }
}, 'not a regular expression');
/** A template of bytes: `F0 00 20 0D 68 {dev} 20 {w} F7`. */
export const HexTemplate = z.string().min(2).max(1024);
/** One message: a line as it is; with another framing, its bytes in hex. `{hex: …}` is bytes whatever the framing. */
export const Message = z.union([
  Latin1.min(1).max(1024),
  z.strictObject({ hex: z.string().regex(/^\s*([0-9A-Fa-f]{2}\s*)+$/) }),
]);
export type Message = z.infer<typeof Message>;
/** A number that can depend on the index of the axis: `9`, or `{first: 9, step: 16}` for 9, 25, 41 … */
export const PerIndex = z.union([
  z.int().min(0).max(65_535),
  z.strictObject({ first: z.int().min(0).max(65_535), step: z.int().min(-4096).max(4096) }),
]);
export type PerIndex = z.infer<typeof PerIndex>;
