/** Tenants take turns: the one served longest ago comes first, and within a tenant the oldest job. */
export function pickNext<J extends { id: number; tenant: string | null }>(
  jobs: readonly J[],
  lastServed: ReadonlyMap<string, number>,
): J[] {
  const byTenant = new Map<string, J[]>();
  for (const job of [...jobs].sort((a, b) => a.id - b.id)) {
    const tenant = job.tenant ?? '';
    const queue = byTenant.get(tenant);
    if (queue) queue.push(job);
    else byTenant.set(tenant, [job]);
  }
  // Rounds: every tenant's first job, then every tenant's second, and so on.
  const tenants = [...byTenant.keys()].sort(
    (a, b) => (lastServed.get(a) ?? 0) - (lastServed.get(b) ?? 0) || byTenant.get(a)![0]!.id - byTenant.get(b)![0]!.id,
  );
  const order: J[] = [];
  for (let round = 0; order.length < jobs.length; round++)
    for (const tenant of tenants) {
      const job = byTenant.get(tenant)![round];
      if (job) order.push(job);
    }
  return order;
}

const REMEMBERED_TENANTS = 1000;

/** Keeps the map small over the years: who has not been served for a thousand tenants counts as never served. */
export function forgetOldest(lastServed: Map<string, number>): void {
  if (lastServed.size <= REMEMBERED_TENANTS) return;
  const oldest = [...lastServed].sort((a, b) => a[1] - b[1]).slice(0, lastServed.size - REMEMBERED_TENANTS);
  for (const [tenant] of oldest) lastServed.delete(tenant);
}
