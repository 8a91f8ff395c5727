/** Whose turn it is, of all that wait for what only so many get: the most overdue, on whatever channel. */

export interface Turn {
  id: string;
  patientId: string;
  dueAt: Temporal.Instant | null;
}

/** The longest due first, then the smaller id of the patient. */
export function byTurn(one: Turn, other: Turn): number {
  if (one.dueAt === null || other.dueAt === null) {
    if (one.dueAt !== other.dueAt) return one.dueAt === null ? -1 : 1;
  } else {
    const order = Temporal.Instant.compare(one.dueAt, other.dueAt);
    if (order !== 0) return order;
  }
  return `${one.patientId} ${one.id}` < `${other.patientId} ${other.id}` ? -1 : 1;
}
