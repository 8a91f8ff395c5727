import type { Clocks, Expected } from './expect.ts';

/** Holds what left against what was expected. It knows nothing of how either came about. */

export interface Delivery {
  rule: string;
  patientId: string;
  key: string;
  /** By the clock of whoever sent it. */
  sentMs: number;
  /** The tick at which it left. */
  tickMs: number;
}

export interface Journey {
  rule: string;
  patientId: string;
  key: string;
  state: string;
  expiresMs: number;
}

export const faultNames = [
  'missing',
  'extra',
  'doubled',
  'early',
  'late',
  'afterLimit',
  'unfinished',
  'absent',
] as const;
export type FaultName = (typeof faultNames)[number];

export interface Verdict {
  expected: number;
  /** What may go or not: a clock met a limit, or the words leave it open. */
  optional: number;
  sent: number;
  faults: Record<FaultName, string[]>;
}

export function judge(
  expected: ReadonlyMap<string, Expected>,
  deliveries: readonly Delivery[],
  journeys: readonly Journey[],
  { clocks, endMs }: { clocks: Clocks; endMs: number },
): Verdict {
  const byName = Map.groupBy(deliveries, nameOf);
  const known = new Map(journeys.map((journey) => [nameOf(journey), journey]));
  const all = [...expected];
  const must = all.filter(([, { mustMs }]) => mustMs !== null);
  const where = (isIt: (one: Delivery, wanted: Expected | undefined) => boolean) =>
    deliveries.filter((one) => isIt(one, expected.get(nameOf(one)))).map(nameOf);
  const namesOf = (entries: readonly [string, unknown][]) => entries.map(([name]) => name);
  return {
    expected: must.length,
    optional: all.filter(([, { firstMs, mustMs }]) => firstMs !== null && mustMs === null).length,
    sent: deliveries.length,
    faults: {
      missing: namesOf(must.filter(([name]) => !byName.has(name))),
      extra: where((_one, wanted) => wanted === undefined || wanted.firstMs === null),
      doubled: namesOf([...byName].filter(([, times]) => times.length > 1)),
      early: where(
        ({ sentMs, tickMs }, wanted) =>
          wanted !== undefined &&
          (sentMs < wanted.dueMs ||
            tickMs + clocks.aheadMs < wanted.dueMs ||
            tickMs < (wanted.firstMs ?? tickMs)),
      ),
      late: where(
        ({ tickMs }, wanted) =>
          wanted !== undefined && tickMs > (wanted.mustMs ?? Math.max(wanted.lastMs, tickMs)),
      ),
      afterLimit: where(({ sentMs }, wanted) => wanted !== undefined && sentMs >= wanted.expiresMs),
      unfinished: journeys
        .filter(({ state, expiresMs }) => isOpen(state) && expiresMs < endMs - clocks.behindMs)
        .map(nameOf),
      absent: namesOf(all.filter(([name, { isExpired }]) => isExpired && !known.has(name))),
    },
  };
}

export function faultsOf({ faults }: Verdict): string[] {
  return faultNames.flatMap((fault) => faults[fault].map((name) => `${fault}: ${name}`));
}

/** The sum of several clinics' verdicts. */
export function together(verdicts: readonly Verdict[]): Verdict {
  const sum = (of: (verdict: Verdict) => number) =>
    verdicts.reduce((total, verdict) => total + of(verdict), 0);
  return {
    expected: sum((verdict) => verdict.expected),
    optional: sum((verdict) => verdict.optional),
    sent: sum((verdict) => verdict.sent),
    faults: Object.fromEntries(
      faultNames.map((name) => [name, verdicts.flatMap(({ faults }) => faults[name])]),
    ) as Verdict['faults'],
  };
}

const openStates: readonly string[] = ['planned', 'active', 'held'];

function isOpen(state: string): boolean {
  return openStates.includes(state);
}

function nameOf({ rule, patientId, key }: { rule: string; patientId: string; key: string }) {
  return `${rule} ${patientId} ${key}`;
}
