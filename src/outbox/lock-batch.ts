import type { Trx } from '../database/connect.ts';
import type { Purpose } from '../database/tables.ts';
import type { Clinic } from '../history/clinic.ts';
import {
  type LockedPatient,
  lockAddresses,
  lockFreeAddresses,
  lockFreePatients,
} from '../history/lock-store.ts';
import { addToDay, localDay, startOfDay } from '../local-time.ts';
import { capTermsOf } from './arbitrate.ts';
import type { DueMessage } from './claim-store.ts';
import type { Faults } from './fault.ts';
import {
  type Asked,
  findWays,
  type GuardFacts,
  type GuardTimes,
  type Recipient,
  readGuardFacts,
  type Way,
} from './guard-store.ts';
import { lockMessages } from './lock-messages-store.ts';
import { type Reach, reachInHousehold, reachOf } from './reach.ts';
import {
  type CompanionMessage,
  findCarried,
  findRelatives,
  householdMembersMax,
  lockCompanionMessages,
  type Relative,
} from './relatives-store.ts';

/**
 * Locks the rows that every write takes which can remove a reason to send, and reads what stands against each
 * message. A sender holds messages already, so it waits for nobody: what another holds makes a message
 * busy, to be looked at again at once. With it go the rows of who answers for a patient, and of the
 * household where that gets one message or has caps of its own.
 */

export interface Batch {
  /** Of the due messages that are not busy. */
  due: GuardFacts[];
  /** Of messages that are not due yet, or on another channel, and may be named in one that is; held too. */
  companions: GuardFacts[];
  /** By the journey of a due message: whom its earlier messages named. */
  carried: ReadonlyMap<string, readonly GuardFacts[]>;
  /** Messages without a way of their own, which may only be named in one to the household. */
  namedOnly: ReadonlySet<string>;
}

interface Found extends Recipient {
  purpose: Purpose;
  hasGuardian: boolean;
  household: string | null;
}

type Relatives = ReadonlyMap<string, readonly Relative[]>;
type Ways = ReadonlyMap<string, Way>;

export async function lockBatch(
  deps: { faults: Faults },
  trx: Trx,
  clinic: Clinic,
  due: readonly DueMessage[],
  now: Temporal.Instant,
): Promise<Batch> {
  const patients = await lockRecipients(trx, clinic.id, due);
  const circle = await lockRelatives(trx, clinic, patients);
  const ways = await findWays(trx, clinic.id, circle.recipients);
  const reaches = reachAll(clinic, circle.recipients, ways, circle.relatives, now);
  const needed = (each: Found) => addressesOf(each, ways, reaches, circle.relatives);
  const addresses = unique(circle.recipients.flatMap(needed));
  const free = await lockFreeAddresses(trx, clinic.id, addresses);
  const reached = circle.recipients.filter((each) => needed(each).every((one) => free.has(one)));
  const companions = await lockCompanions(trx, clinic, reached, circle.relatives, now);
  deps.faults('after_locks');

  const ready = reached.filter((each) => !companions.busy.has(keyOf(each)));
  const carried = await findCarriedOf(trx, clinic, ready, ways, circle.relatives);
  const companionIds = new Set(companions.recipients.map(({ id }) => id));
  const others = [...companions.recipients, ...carried.recipients];
  const otherWays = await findWays(trx, clinic.id, others);
  const isMute = (each: Found) =>
    clinic.settings.householdMerging &&
    each.household !== null &&
    (reaches.get(each.id)?.address ?? null) === null;
  const inHousehold = [
    ...ready.filter(isMute).map((each) => ({ each, way: ways.get(each.id) })),
    ...others.map((each) => ({ each, way: otherWays.get(each.id) })),
  ].map(({ each, way }) => askedInHousehold(clinic, each, way, circle.relatives, now));
  const asked = [
    ...toAsked(
      ready.filter((each) => !isMute(each)),
      reaches,
    ),
    ...inHousehold.map(({ isNamedOnly: _isNamedOnly, ...each }) => each),
  ];
  const facts = await readGuardFacts(trx, clinic.id, asked, times(clinic, now));
  const dueIds = new Set(ready.map(({ id }) => id));
  const dueFacts = facts.filter(({ id }) => dueIds.has(id));
  const expiries = new Map(dueFacts.map(({ journeyId, expiresAt }) => [journeyId, expiresAt]));
  return {
    due: dueFacts,
    companions: facts.filter(({ id }) => companionIds.has(id)),
    carried: Map.groupBy(
      // Named as long as the message that names them may go.
      facts.flatMap((each) => {
        const expiresAt = expiries.get(carried.journeyOf.get(each.id) ?? '');
        return expiresAt === undefined ? [] : [{ ...each, expiresAt }];
      }),
      ({ id }) => carried.journeyOf.get(id) ?? '',
    ),
    namedOnly: new Set(inHousehold.filter((each) => each.isNamedOnly).map(({ id }) => id)),
  };
}

/** The facts of messages whose patients are locked. */
export async function readFacts(
  trx: Trx,
  clinic: Clinic,
  recipients: readonly Recipient[],
  now: Temporal.Instant,
): Promise<GuardFacts[]> {
  const relatives = await findRelatives(
    trx,
    clinic.id,
    recipients.map((each) => each.patientId),
    usesHouseholds(clinic),
  );
  const ways = await findWays(trx, clinic.id, recipients);
  const reaches = reachAll(clinic, recipients, ways, relatives, now);
  const addresses = [...reaches.values()].flatMap(({ address }) => address ?? []);
  await lockAddresses(trx, clinic.id, unique(addresses), 'update');
  await lockMessages(
    trx,
    clinic.id,
    recipients.map((each) => each.id),
  );
  const asked = recipients.map((each) => ({ ...each, household: null }));
  return readGuardFacts(trx, clinic.id, toAsked(asked, reaches), times(clinic, now));
}

/**
 * Whom each message goes to: its patient, or who took their place in a merge. Senders exclude each other
 * too: two of them must not both count the same day's contacts.
 */
async function lockRecipients(
  trx: Trx,
  clinicId: string,
  due: readonly DueMessage[],
): Promise<Found[]> {
  const found: Found[] = [];
  let open: readonly Pick<DueMessage, 'id' | 'patientId' | 'purpose'>[] = due;
  for (let merges = 0; open.length > 0 && merges < mergesMax; merges += 1) {
    const ids = unique(open.map((each) => each.patientId));
    const locked = new Map<string, LockedPatient>(
      (await lockFreePatients(trx, clinicId, ids)).map((row) => [row.id, row]),
    );
    found.push(
      ...open.flatMap(({ id, patientId, purpose }) => {
        const row = locked.get(patientId);
        if (row === undefined || row.replacedBy !== null) return [];
        const { hasGuardian, household } = row;
        return [{ id, patientId, purpose, hasGuardian, household }];
      }),
    );
    open = open.flatMap(({ id, patientId, purpose }) => {
      const survivor = locked.get(patientId)?.replacedBy ?? null;
      return survivor === null ? [] : [{ id, patientId: survivor, purpose }];
    });
  }
  return found;
}

/** A chain of merges is never longer; cycles are refused at intake. */
const mergesMax = 50;

interface Circle {
  /** Those of whom every relative is held. */
  recipients: Found[];
  relatives: Relatives;
}

async function lockRelatives(
  trx: Trx,
  clinic: Clinic,
  recipients: readonly Found[],
): Promise<Circle> {
  const withHouseholds = usesHouseholds(clinic);
  const hasRelatives = ({ hasGuardian, household, purpose }: Found) =>
    hasGuardian || (withHouseholds && household !== null && purpose !== 'transactional');
  const patientIds = unique(recipients.filter(hasRelatives).map(({ patientId }) => patientId));
  if (patientIds.length === 0) {
    return {
      recipients: recipients.map((each) => ({ ...each, household: null })),
      relatives: new Map(),
    };
  }
  const seen = await findRelatives(trx, clinic.id, patientIds, withHouseholds);
  const held = new Set(recipients.map(({ patientId }) => patientId));
  const others = unique(relativesIn(seen).map(({ id }) => id)).filter((id) => !held.has(id));
  for (const row of await lockFreePatients(trx, clinic.id, others)) held.add(row.id);
  // Read again under the locks: whoever joined meanwhile is nobody's secret, but not held.
  const relatives = await findRelatives(trx, clinic.id, patientIds, withHouseholds);
  return {
    relatives: new Map(
      [...relatives].map(([id, list]) => [id, isTooLarge(list) ? withoutMembers(list) : list]),
    ),
    recipients: recipients
      .filter(({ patientId }) =>
        withoutCrowd(relatives.get(patientId) ?? []).every(({ id }) => held.has(id)),
      )
      .map((each) => {
        const list = relatives.get(each.patientId);
        const isHousehold = withHouseholds && list !== undefined && !isTooLarge(list);
        const counts = isHousehold && each.purpose !== 'transactional';
        return { ...each, household: counts ? each.household : null };
      }),
  };
}

function relativesIn(relatives: Relatives): Relative[] {
  return [...relatives.values()].flatMap((list) => withoutCrowd(list));
}

function withoutCrowd(list: readonly Relative[]): readonly Relative[] {
  return isTooLarge(list) ? withoutMembers(list) : list;
}

function isTooLarge(list: readonly Relative[]): boolean {
  return list.filter(({ kind }) => kind === 'member').length >= householdMembersMax;
}

function withoutMembers(list: readonly Relative[]): Relative[] {
  return list.filter(({ kind }) => kind !== 'member');
}

function usesHouseholds({ settings }: Clinic): boolean {
  return settings.householdMerging || capTermsOf(settings).household !== null;
}

function reachAll(
  clinic: Clinic,
  recipients: readonly Recipient[],
  ways: Ways,
  relatives: Relatives,
  now: Temporal.Instant,
): Map<string, Reach> {
  const today = localDay(now, clinic.timeZone);
  const isMerging = clinic.settings.householdMerging;
  return new Map(
    recipients.map(({ id, patientId }) => {
      const way = ways.get(id);
      const own = way?.address ?? null;
      const list = relatives.get(patientId);
      if (way === undefined || list === undefined) return [id, { address: own, throughId: null }];
      return [id, reachOf({ channel: way.channel, own, relatives: list, isMerging, today })];
    }),
  );
}

/** What is locked for a message: where it goes, and whatever address the same person's contacts are counted at. */
function addressesOf(
  { id, patientId, household }: Found,
  ways: Ways,
  reaches: ReadonlyMap<string, Reach>,
  relatives: Relatives,
): string[] {
  const { address = null, throughId = null } = reaches.get(id) ?? {};
  const circle = relatives.get(patientId) ?? [];
  const members = household === null ? [] : circle;
  const other = circle.find((relative) => relative.id === throughId);
  return [
    ...(address === null ? [] : [address]),
    ...(ways.get(id)?.shared ?? []),
    ...(other?.addresses ?? []),
    ...members.filter(({ kind }) => kind !== 'guardian').flatMap(({ addresses }) => addresses),
  ];
}

interface Companions {
  recipients: (Recipient & { household: string })[];
  /** Household and purpose of whom one of the messages is held by somebody else. */
  busy: Set<string>;
}

/** What waits for more than its household: what its rule may send is counted by itself. */
export const unfitReasons: readonly string[] = [
  'rule-paused',
  'daily-limit',
  'budget',
  'capacity',
  'policy',
  'stale-source',
  'anomaly',
];

async function lockCompanions(
  trx: Trx,
  clinic: Clinic,
  recipients: readonly Found[],
  relatives: Relatives,
  now: Temporal.Instant,
): Promise<Companions> {
  const none = { recipients: [], busy: new Set<string>() };
  if (!clinic.settings.householdMerging) return none;
  const atHome = recipients.filter(({ household }) => household !== null);
  if (atHome.length === 0) return none;
  const householdOf = new Map<string, string>();
  for (const { patientId, household } of atHome) {
    for (const { id, kind } of relatives.get(patientId) ?? []) {
      if (kind !== 'guardian' && household !== null) householdOf.set(id, household);
    }
  }
  const tomorrow = addToDay(localDay(now, clinic.timeZone), 'P1D');
  const found = await lockCompanionMessages(trx, clinic.id, [...householdOf.keys()], {
    except: recipients.map(({ id }) => id),
    now,
    dayEnd: startOfDay(tomorrow, clinic.timeZone),
    unfitReasons,
  });
  const wanted = new Set(atHome.map(keyOf));
  const mine = found
    .map((message) => ({ ...message, household: householdOf.get(message.patientId) ?? '' }))
    .filter((message) => wanted.has(keyOf(message)));
  const busy = new Set(mine.filter(({ isBusy }) => isBusy).map(keyOf));
  return { recipients: mine.filter((message) => !busy.has(keyOf(message))), busy };
}

function keyOf({
  household,
  purpose,
}: Pick<CompanionMessage, 'purpose'> & { household: string | null }): string {
  return household === null ? '' : `${purpose} ${household}`;
}

async function findCarriedOf(
  trx: Trx,
  clinic: Clinic,
  recipients: readonly Found[],
  ways: Ways,
  relatives: Relatives,
): Promise<{
  recipients: (Recipient & { household: string | null })[];
  journeyOf: Map<string, string>;
}> {
  const begun = clinic.settings.householdMerging
    ? recipients.filter(({ id, household }) => household !== null && ways.get(id)?.isBegun)
    : [];
  const byJourney = new Map(begun.map((each) => [ways.get(each.id)?.journeyId ?? '', each]));
  const carried = await findCarried(trx, clinic.id, [...byJourney.keys()]);
  // Who no longer lives there is not held, and not named.
  const kept = carried.filter(({ patientId, journeyId }) => {
    const carrier = byJourney.get(journeyId);
    const list = (carrier && relatives.get(carrier.patientId)) ?? [];
    return list.some(({ id, kind }) => id === patientId && kind === 'member');
  });
  return {
    recipients: kept.map(({ id, patientId, journeyId }) => ({
      id,
      patientId,
      household: byJourney.get(journeyId)?.household ?? null,
    })),
    journeyOf: new Map(kept.map(({ id, journeyId }) => [id, journeyId])),
  };
}

function toAsked(
  recipients: readonly (Recipient & { household: string | null })[],
  reaches: ReadonlyMap<string, Reach>,
): Asked[] {
  return recipients.map(({ id, patientId, household }) => ({
    ...{ id, patientId, household },
    address: reaches.get(id)?.address ?? null,
    throughId: reaches.get(id)?.throughId ?? null,
  }));
}

/** Of somebody who is to be named: reached by their own address, else through their household. */
function askedInHousehold(
  clinic: Clinic,
  { id, patientId, household }: Recipient & { household: string | null },
  way: Way | undefined,
  relatives: Relatives,
  now: Temporal.Instant,
): Asked & { isNamedOnly: boolean } {
  const list = seenFrom(patientId, relatives);
  const today = localDay(now, clinic.timeZone);
  const { isMerging, own } = {
    isMerging: clinic.settings.householdMerging,
    own: way?.address ?? null,
  };
  const asked = { id, patientId, household, isNamedOnly: false };
  if (way === undefined) return { ...asked, address: null, throughId: null };
  const reach = reachOf({ channel: way.channel, own, relatives: list, isMerging, today });
  if (reach.address !== null) return { ...asked, ...reach };
  const address = reachInHousehold(way.channel, list);
  return { ...asked, address, throughId: null, isNamedOnly: address !== null };
}

/** The household as one of its members sees it, from what was read for another. */
function seenFrom(patientId: string, relatives: Relatives): Relative[] {
  const known = relatives.get(patientId);
  if (known !== undefined) return [...known];
  const list = [...relatives.values()].find((each) =>
    each.some(({ id, kind }) => id === patientId && kind === 'member'),
  );
  return (list ?? [])
    .filter(({ kind }) => kind !== 'guardian')
    .map((relative) => ({
      ...relative,
      ofId: patientId,
      kind: relative.id === patientId ? ('self' as const) : ('member' as const),
    }));
}

function times(clinic: Clinic, now: Temporal.Instant): GuardTimes {
  const today = localDay(now, clinic.timeZone);
  return { now, today, weekStart: addToDay(today, '-P6D') };
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}
