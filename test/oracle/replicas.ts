import { sql } from 'kysely';
import { random } from '../../bench/random.ts';
import { fixedClock } from '../../src/clock.ts';
import { connect, type Db } from '../../src/database/connect.ts';
import { withClinic } from '../../src/database/with-clinic.ts';
import { defaultSettings } from '../../src/history/clinic.ts';
import { findClinic } from '../../src/history/clinic-store.ts';
import { recordOptOut } from '../../src/history/consent-store.ts';
import { type IntakeDeps, recordEvents } from '../../src/intake/record-events.ts';
import { makeClinic, makeRule } from '../support/factory.ts';
import { type Clocks, type Expected, expectedOf } from './expect.ts';
import { createFleet, type FleetCounts, lookEveryMs, looksMax } from './fleet.ts';
import { type Delivery, type Journey, judge, together, type Verdict } from './judge.ts';
import { ruleNames, rules } from './rules.ts';
import {
  type Clinic,
  firstInstant,
  isAwayAt,
  makeWorld,
  type Size,
  type Told,
  type World,
} from './world.ts';

/**
 * Plays a world to three schedulers whose clocks are apart, who are killed in the middle of their work, and who
 * are all away for ten days; then asks the oracle.
 */

export interface PlayOptions extends Size {
  /** Migrated and empty. */
  databaseUrl: string;
  seed: number;
  killShare: number;
  cutShare: number;
  control?: Control;
  report?: (done: number, total: number, note: string) => void;
}

/** A clinic after the last day: what went wrong, and what it is seen by. */
export interface PlayedZone {
  zone: string;
  verdict: Verdict;
  expected: ReadonlyMap<string, Expected>;
  told: readonly Told[];
  seen: Seen;
}

export interface Seen {
  deliveries: Delivery[];
  journeys: Journey[];
}

/** What a scheduler of another kind would do wrong. */
export type Control =
  /** Nobody hears of changed patients. */
  | 'forgets'
  /** After an absence only the last three days are looked at. */
  | 'looks-back'
  /** All clocks are an hour fast. */
  | 'fast';

export interface PlayResult extends FleetCounts {
  verdict: Verdict;
  seconds: number;
  zones: PlayedZone[];
}

const skewsMs = [-90_000, 0, 90_000];
const clocks: Clocks = {
  behindMs: 90_000,
  aheadMs: 90_000 + (looksMax - 1) * lookEveryMs,
};
const hourMs = 3_600_000;

export async function playWorld(options: PlayOptions): Promise<PlayResult> {
  const { databaseUrl, seed, control, killShare, cutShare } = options;
  const started = performance.now();
  const world = makeWorld(seed, options);
  const database = await connect({ url: databaseUrl, poolSize: 2 });
  const { db } = database;
  const fleet = createFleet({
    ...{ db, databaseUrl, killShare, cutShare },
    dice: random(seed, 'kills'),
    skewsMs: skewsMs.map((ms) => (control === 'fast' ? ms + hourMs : ms)),
  });
  try {
    await noteDeliveries(db);
    const clinics: PlayedClinic[] = [];
    for (const clinic of world.clinics) clinics.push(await openClinic(db, clinic));
    await play(db, world, clinics, fleet, options);
    const zones: PlayResult['zones'] = [];
    const endMs = world.ticks.findLast((ms) => !isAwayAt(ms, world.outage)) ?? 0;
    for (const { id, names, clinic } of clinics) {
      const expected = expectedOf(world, clinic, clocks);
      const seen = await readClinic(db, id, names);
      const verdict = judge(expected, seen.deliveries, seen.journeys, { clocks, endMs });
      zones.push({ zone: clinic.zone, verdict, expected, told: clinic.told, seen });
    }
    const verdict = together(zones.map((zone) => zone.verdict));
    return { ...fleet.counts, verdict, zones, seconds: (performance.now() - started) / 1000 };
  } finally {
    await fleet.killAll();
    await database.close();
  }
}

async function play(
  db: Db,
  { ticks, outage, clinics: { length } }: World,
  clinics: readonly PlayedClinic[],
  fleet: ReturnType<typeof createFleet>,
  { control, report }: PlayOptions,
): Promise<void> {
  let isAway = false;
  for (const [index, tickMs] of ticks.entries()) {
    for (const clinic of clinics) await tell(db, clinic, tickMs);
    if (isAwayAt(tickMs, outage)) {
      if (!isAway) await fleet.killAll();
      isAway = true;
      continue;
    }
    if (isAway && control === 'looks-back') await forgetTheAbsence(db, tickMs);
    isAway = false;
    if (control === 'forgets') await sql`delete from replan`.execute(db);
    await sql`update oracle_tick set at_ms = ${tickMs}`.execute(db);
    await fleet.look(tickMs);
    if (index % 50 === 0)
      report?.(index, ticks.length, `${length} clinics, ${fleet.counts.kills} kills`);
  }
}

async function forgetTheAbsence(db: Db, tickMs: number): Promise<void> {
  const from = Temporal.Instant.fromEpochMilliseconds(tickMs).subtract({ hours: 72 });
  await sql`update rules set planned_through = greatest(planned_through, ${from})`.execute(db);
}

interface PlayedClinic {
  id: string;
  clinic: Clinic;
  names: ReadonlyMap<string, string>;
  deps: IntakeDeps & { clock: ReturnType<typeof fixedClock> };
  /** How much of it has been told. */
  told: number;
}

async function openClinic(db: Db, clinic: Clinic): Promise<PlayedClinic> {
  const now = firstInstant.toString();
  const id = await makeClinic(db, {
    ...{ now, timeZone: clinic.zone, country: 'KZ', language: 'en', mode: 'live' },
    settings: { ...defaultSettings, sendWindow: { start: '00:00', end: '24:00' } },
  });
  const names = new Map<string, string>();
  for (const name of ruleNames) {
    const made = await makeRule(db, id, { name, ...rules[name] }, { now });
    names.set(made.id, name);
  }
  return { id, clinic, names, deps: { db, clock: fixedClock(now) }, told: 0 };
}

/** What arrives before the tick, in the order of arrival. */
async function tell(db: Db, played: PlayedClinic, tickMs: number): Promise<void> {
  const { clinic, deps, id } = played;
  const waiting = clinic.told.slice(played.told);
  const count = waiting.findIndex(({ arrivesMs }) => arrivesMs >= tickMs);
  const arrived = count === -1 ? waiting : waiting.slice(0, count);
  played.told += arrived.length;
  for (const [arrivesMs, events] of Map.groupBy(arrived, (event) => event.arrivesMs)) {
    const now = Temporal.Instant.fromEpochMilliseconds(arrivesMs);
    deps.clock.set(now);
    await tellEvents(
      db,
      played,
      events.filter(({ type }) => type !== 'opt-out'),
    );
    for (const event of events.filter(({ type }) => type === 'opt-out'))
      await optOut(db, id, String(event.data.patientId), now);
  }
}

async function tellEvents(
  db: Db,
  { deps, id: clinicId }: PlayedClinic,
  events: readonly Told[],
): Promise<void> {
  if (events.length === 0) return;
  const clinic = await withClinic(db, clinicId, (trx) => findClinic(trx, clinicId));
  if (clinic === null) throw new Error('The clinic is gone.');
  const caller = { clinicId, keyId: clinicId, source: 'mis', scopes: [], clinic };
  const items = events.map(({ arrivesMs: _arrivesMs, ...event }) => event);
  const { rejected } = await recordEvents(deps, caller, items);
  if (rejected.length > 0) throw new Error(`Not taken: ${JSON.stringify(rejected[0])}`);
}

async function optOut(
  db: Db,
  clinicId: string,
  hostId: string,
  now: Temporal.Instant,
): Promise<void> {
  await withClinic(db, clinicId, async (trx) => {
    const { rows } = await sql<{ id: string }>`
      select id from patients where clinic_id = ${clinicId} and external_id = ${hostId}`.execute(
      trx,
    );
    const patientId = rows[0]?.id;
    if (patientId !== undefined)
      await recordOptOut(trx, clinicId, { patientId, origin: 'api' }, now);
  });
}

/** Each time that a message leaves is noted by the database, and under which tick. */
async function noteDeliveries(db: Db): Promise<void> {
  await sql`create table oracle_tick (at_ms bigint not null)`.execute(db);
  await sql`insert into oracle_tick values (0)`.execute(db);
  await sql`
    create table oracle_deliveries (
      clinic_id uuid, rule_id uuid, patient_id uuid, occurrence text, sent_at timestamptz, tick_ms bigint)`.execute(
    db,
  );
  await sql`
    create function note_delivery() returns trigger language plpgsql security definer as $$
    begin
      insert into oracle_deliveries
      select new.clinic_id, new.rule_id, new.patient_id, new.occurrence, new.sent_at, at_ms from oracle_tick;
      return null;
    end $$`.execute(db);
  await sql`
    create trigger note_delivery after update on messages for each row
    when (new.attempt_no > old.attempt_no) execute function note_delivery()`.execute(db);
}

interface Row {
  ruleId: string;
  patientId: string;
  key: string;
}

async function readClinic(
  db: Db,
  clinicId: string,
  names: ReadonlyMap<string, string>,
): Promise<Seen> {
  const named = <T extends Row>(row: T) => ({ ...row, rule: names.get(row.ruleId) ?? row.ruleId });
  return withClinic(db, clinicId, async (trx) => {
    const journeys = await sql<Row & { state: string; expiresMs: number }>`
      select j.rule_id as "ruleId", p.external_id as "patientId", j.occurrence as key, j.state,
        (extract(epoch from j.expires_at) * 1000)::double precision as "expiresMs"
      from journeys j join patients p on p.clinic_id = j.clinic_id and p.id = j.patient_id
      where j.clinic_id = ${clinicId}`.execute(trx);
    const people = await sql<{ id: string; hostId: string }>`
      select id, external_id as "hostId" from patients where clinic_id = ${clinicId}`.execute(trx);
    const hostIds = new Map(people.rows.map(({ id, hostId }) => [id, hostId]));
    const deliveries = await sql<Row & { sentMs: number; tickMs: number }>`
      select rule_id as "ruleId", patient_id as "patientId", occurrence as key,
        (extract(epoch from sent_at) * 1000)::double precision as "sentMs", tick_ms::double precision as "tickMs"
      from oracle_deliveries where clinic_id = ${clinicId}`.execute(db);
    return {
      journeys: journeys.rows.map(named),
      deliveries: deliveries.rows
        .map(named)
        .map((row) => ({ ...row, patientId: hostIds.get(row.patientId) ?? row.patientId })),
    };
  });
}
