import type { FaultName, Verdict } from './judge.ts';
import type { Control, PlayOptions } from './replicas.ts';

/** Schedulers of another kind, which the same judge must find out, each for its own fault. */

export interface ControlRun {
  name: string;
  options: Omit<PlayOptions, 'databaseUrl' | 'seed'> & { control: Control };
  faults: readonly FaultName[];
}

const calm = { clinics: 1, killShare: 0, cutShare: 0 } as const;

export const controls: readonly ControlRun[] = [
  {
    name: 'forgets who has changed',
    options: { ...calm, days: 14, patients: 25, control: 'forgets' },
    faults: ['missing'],
  },
  {
    name: 'looks back three days',
    options: { ...calm, days: 60, patients: 40, control: 'looks-back' },
    // What it does not see is told too late for a message, too, and nobody hears that it was.
    faults: ['missing', 'absent'],
  },
  {
    name: 'an hour fast',
    options: { ...calm, days: 14, patients: 25, control: 'fast' },
    faults: ['early'],
  },
];

export function isFoundOut({ faults: own }: ControlRun, { faults }: Verdict): boolean {
  return own.some((fault) => faults[fault].length > 0);
}
