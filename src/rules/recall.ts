import type { Trx } from '../database/connect.ts';
import { localDay, toInstant } from '../local-time.ts';
import { morning } from './triggers/day-slots.ts';
import { type DueWindow, isIn } from './triggers/due-slots.ts';
import type { OwnDue, Question, RecallAnchor, RecallRow, RecallTerms } from './triggers/trigger.ts';

/** What a clinic has settled about one patient's recall: another period, another day, or none for a time. */
export interface RecallOverride {
  ruleId: string;
  patientId: string;
  /** In place of the rule's own period. */
  after: string | null;
  /** The day for the occurrences of `dueFor`; a later visit is another occurrence. */
  dueOn: string | null;
  dueFor: string[];
  /** Never before this day. */
  disabledUntil: string | null;
  reason: string | null;
  setBy: string;
  setAt: Temporal.Instant;
}

/** As `disabledUntil`: for ever. */
export const never = '9999-12-31';

/** When these patients are due in that window, each by what was settled for them. */
export async function duesOfRecalls(
  trx: Trx,
  row: RecallRow,
  question: Question,
  settled: readonly RecallOverride[],
  window: DueWindow,
): Promise<OwnDue[]> {
  const byPatient = new Map(settled.map((override) => [override.patientId, override]));
  const anchors = await row.anchors(trx, { ...question, patientIds: [...byPatient.keys()] });
  return anchors.flatMap((anchor) => {
    const due = recallDueAt(row, anchor, byPatient.get(anchor.patientId), question);
    if (due === null || !isIn(due, window)) return [];
    const { patientId, occurrence } = anchor;
    const dueDay = localDay(due, question.clinicZone);
    return [{ patientId, occurrence, dueMs: due.epochMilliseconds, dueDay }];
  });
}

/** When an anchor is due, by the rule and by what was settled for its patient; null for never. */
export function recallDueAt(
  row: RecallRow,
  anchor: RecallAnchor,
  override: Pick<RecallOverride, 'after' | 'dueOn' | 'dueFor' | 'disabledUntil'> | undefined,
  terms: RecallTerms,
): Temporal.Instant | null {
  const { after, dueOn, dueFor, disabledUntil } = override ?? nothing;
  if (disabledUntil === never) return null;
  const { sendAt, trigger } = terms.definition;
  const zone = anchor.patientZone ?? terms.clinicZone;
  const onDay = (day: string) => toInstant(day, sendAt ?? morning, zone);
  const due =
    dueOn !== null && dueFor.includes(anchor.occurrence)
      ? onDay(dueOn)
      : row.dueAt(anchor, after ?? trigger.after, terms);
  const isTooEarly = disabledUntil !== null && localDay(due, zone) < disabledUntil;
  return isTooEarly ? onDay(disabledUntil) : due;
}

const nothing = { after: null, dueOn: null, dueFor: [], disabledUntil: null };
