import { type RawBuilder, sql } from 'kysely';
import type { Trx } from '../database/connect.ts';
import { openStates } from './journey-store.ts';
import type { RuleDefinition } from './rule.ts';
import {
  type Occasion,
  occasionsQuery,
  type SelectionTerms,
  streamRows,
} from './selection-store.ts';

/** What fell due before a rule was switched on, and what a changed trigger moved there. */

export interface BacklogQuestion extends SelectionTerms {
  ruleId: string;
  order: NonNullable<RuleDefinition['backlog']>['order'];
}

/** Those of them that no journey has begun of, in their order. */
export async function* streamBacklog(
  trx: Trx,
  question: BacklogQuestion,
): AsyncGenerator<Occasion[]> {
  const query = await occasionsQuery(trx, question);
  if (query === null) return;
  const order = question.order === 'most-overdue' ? sql`asc` : sql`desc`;
  yield* streamRows(
    trx,
    sql<Occasion>`
      select o.* from (${query}) o
      where not exists (
        select from journeys j
        where j.clinic_id = ${question.clinic.id} and j.rule_id = ${question.ruleId} and j.patient_id = o."patientId"
          and j.occurrence = o.occurrence and not (j.state = 'suppressed' and j.reason = 'before-activation'))
      order by o."dueAt" ${order}, o."patientId"`,
  );
}

/** The same occurrences: still ahead by one trigger, past by another. */
export interface MoveQuestion {
  ruleId: string;
  before: SelectionTerms;
  after: SelectionTerms;
}

export async function* streamMoved(trx: Trx, question: MoveQuestion): AsyncGenerator<Occasion[]> {
  const query = await movedQuery(trx, question);
  if (query !== null) yield* streamRows(trx, query);
}

/** How many patients a changed trigger would move into the past. */
export async function countMoved(trx: Trx, question: MoveQuestion): Promise<number> {
  const query = await movedQuery(trx, question);
  if (query === null) return 0;
  const { rows } = await sql<{ count: number }>`
    select count(distinct "patientId")::int as count from (${query}) moved`.execute(trx);
  return rows[0]?.count ?? 0;
}

async function movedQuery(
  trx: Trx,
  { ruleId, before, after }: MoveQuestion,
): Promise<RawBuilder<Occasion> | null> {
  const ahead = await occasionsQuery(trx, before);
  const past = ahead && (await occasionsQuery(trx, after));
  if (ahead === null || past === null) return null;
  return sql<Occasion>`
    select n.* from (${past}) n
    where exists (
        select from (${ahead}) o where o."patientId" = n."patientId" and o.occurrence = n.occurrence)
      and not exists (
        select from journeys j
        where j.clinic_id = ${after.clinic.id} and j.rule_id = ${ruleId} and j.patient_id = n."patientId"
          and j.occurrence = n.occurrence and j.state <> all(${[...openStates]}::text[]))`;
}
