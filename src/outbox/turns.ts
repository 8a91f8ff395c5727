/** Whose turn it is, of all that wait for what only so many get: the most overdue, on whatever channel. */

export interface Turn {
  id: string;
  journeyId: string | null;
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
  return keyOf(one) < keyOf(other) ? -1 : 1;
}

function keyOf({ patientId, journeyId, id }: Turn): string {
  return `${patientId} ${journeyId ?? ''} ${id}`;
}
