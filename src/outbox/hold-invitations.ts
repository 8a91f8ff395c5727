import type { Clinic } from '../history/clinic.ts';
import { byRank, type Ranked } from './arbitrate.ts';
import type { Verdict } from './guard.ts';
import type { GuardFacts } from './guard-store.ts';
import type { Outranked } from './hold-outranked.ts';
import { heldUntilTomorrow } from './judge-message.ts';

/** An invitation that would begin now. */
export interface Opening extends Ranked {
  journeyId: string | null;
  /** Whether it has steps to come, so that others wait for its end. */
  continues: boolean;
}

/** Of invitations of one patient that would begin together: which waits for which. Pure. */
export function findLaterInvitations<Given extends Opening>(
  openings: readonly Given[],
): Map<Given, Given> {
  const later = new Map<Given, Given>();
  for (const ofPatient of Map.groupBy(openings, ({ patientId }) => patientId).values()) {
    const ranked = ofPatient.toSorted(byRank);
    const first = ranked.findIndex(({ continues }) => continues);
    const begun = ranked[first];
    if (begun === undefined) continue;
    for (const other of ranked.slice(first + 1)) {
      if (other.journeyId !== begun.journeyId) later.set(other, begun);
    }
  }
  return later;
}

/** Two ladders that are due at once do not both begin: what history says of each is older than the other. */
export function holdLaterInvitations(
  goers: readonly GuardFacts[],
  verdicts: Map<string, Verdict>,
  clinic: Clinic,
  now: Temporal.Instant,
): Outranked[] {
  const openings = goers
    .filter(({ guard, attemptNo }) => guard.invitation === true && attemptNo === 0)
    .map((facts) => {
      const { id, priority, guard, scheduledAt, patientId, journeyId, journeyContinues } = facts;
      const dueAt = guard.since === undefined ? scheduledAt : Temporal.Instant.from(guard.since);
      const rank = { id, priority, dueAt, patientId };
      return { ...rank, journeyId, continues: journeyContinues, facts };
    });
  return [...findLaterInvitations(openings)].map(([{ facts }, begun]) => {
    verdicts.set(facts.id, heldUntilTomorrow('lower-priority', facts, clinic, now));
    return { facts, by: [begun.id] };
  });
}
