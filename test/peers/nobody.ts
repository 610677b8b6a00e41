/** What a user without rights meets. Root may do everything, so that it steps down for as long as that takes. */
import { geteuid, seteuid } from 'node:process';

const NOBODY = 65_534;

/** @param work is synchronous: the whole process is nobody meanwhile */
export function asNobody<T>(work: () => T): T {
  const user = geteuid!();
  if (user !== 0) return work();
  seteuid!(NOBODY);
  try {
    return work();
  } finally {
    seteuid!(user);
  }
}
