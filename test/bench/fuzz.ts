/**
 * `npm run bench:fuzz [-- COUNT]`: a million random bytes into every framer and a million damaged answers into what reads them, from another
 * seed each time. Prints what came out and the memory that it took; throws at the first message that should not have.
 */
import { profilesAnswers } from '../drivers/processors/answers.js';
import { damaged, FRAMINGS, rubbish } from '../drivers/processors/fuzz.js';

const count = Number(process.argv[2] ?? 1_000_000);
const seed = Math.trunc(Date.now() % 2 ** 31);
console.log(`seed ${seed}`);
for (const [name, framing] of Object.entries(FRAMINGS))
  console.log(`${name}: ${count} random bytes, ${rubbish(framing(), count, seed)} whole messages among them`);
const answers = await profilesAnswers();
const each = Math.ceil(count / answers.length);
let taken = 0;
for (const [i, answer] of answers.entries()) taken += damaged(answer, each, seed + i);
console.log(
  `${answers.length} questions of all profiles: ${each * answers.length} damaged answers; ${taken} held a whole answer that the unit could have given, none held a wrong one`,
);
console.log(JSON.stringify({ seed, count, residentMb: Math.round(process.memoryUsage.rss() / 2 ** 20) }));
