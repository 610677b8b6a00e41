/** What a rig does about its past before it opens its doors: after a crash, and after a restore from a backup. */
import { OutboardError } from '../../core/errors.js';
import { nowSeconds } from '../../core/units.js';
import type { Logger } from '../log.js';
import type { Journal } from './journal/journal.js';
import type { Spool } from './spool.js';

/** After a crash only the journal says what was. A take that had begun is spent; everything else goes on where it stood. */
export async function recover(journal: Journal, spool: Spool, log: Logger): Promise<void> {
  const { jobs } = journal;
  for (const job of jobs.inState('rolling')) {
    const spent = job.attempt >= job.maxAttempts;
    const code = spent ? 'job.attempts' : 'take.aborted';
    const problem = new OutboardError(code, `the rig process ended while attempt ${job.attempt} rolled`).toJSON();
    jobs.transition(job.id, spent ? 'failed' : 'ready', { problem });
  }
  for (const job of jobs.inState('ready'))
    if (!(await spool.hasSource(job.sourceDigest!, job.sourceBytes!)))
      jobs.transition(job.id, 'failed', {
        problem: new OutboardError('source.unavailable', 'the source is no longer in the spool').toJSON(),
      });
  const open = jobs.inState('accepted', 'ready', 'sealed', 'delivered');
  const removed = await spool.sweep({
    sources: new Set(
      open.filter((job) => job.state === 'accepted' || job.state === 'ready').map((job) => job.sourceDigest!),
    ),
    results: new Set(open.flatMap((job) => (job.resultDigest ? [job.resultDigest] : []))),
  });
  if (removed.length > 0)
    log.info({ files: removed.length }, 'files that belong to no open job were removed from the spool');
}

/** A restored rig: its open jobs end, and what was signed before is refused from now on. */
export function beginEpoch(journal: Journal, why: string): void {
  const epoch = Number(journal.meta('epoch') ?? 1) + 1;
  journal.db.commit('epoch', () => {
    journal.setMeta('epoch', String(epoch));
    journal.setMeta('epoch.floor', String(nowSeconds()));
    journal.setMeta('trust.chain', '');
    // Whose sound the backup names is not whose sound is there.
    journal.db.run('DELETE FROM insert_memory');
    journal.audit.append('epoch', { epoch, why });
    const problem = new OutboardError('rig.epoch', 'the rig was restored from a backup; its open jobs ended').toJSON();
    for (const job of journal.jobs.inState('accepted', 'ready', 'rolling', 'sealed', 'delivered'))
      journal.jobs.transition(job.id, 'failed', { problem });
  });
}
