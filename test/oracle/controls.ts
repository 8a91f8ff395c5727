import type { FaultName, Verdict } from './judge.ts';
import type { Control, PlayOptions } from './replicas.ts';

/** Schedulers of another kind, which the same judge must find out, each for its own fault. */

export interface ControlRun {
  name: string;
  options: Omit<PlayOptions, 'databaseUrl' | 'seed'> & { control: Control };
  fault: FaultName;
}

const calm = { clinics: 1, killShare: 0, cutShare: 0 } as const;

export const controls: readonly ControlRun[] = [
  {
    name: 'forgets who has changed',
    options: { ...calm, days: 14, patients: 25, control: 'forgets' },
    fault: 'missing',
  },
  {
    name: 'looks back three days',
    options: { ...calm, days: 60, patients: 40, control: 'looks-back' },
    fault: 'missing',
  },
  {
    name: 'an hour fast',
    options: { ...calm, days: 14, patients: 25, control: 'fast' },
    fault: 'early',
  },
];

export function isFoundOut({ fault }: ControlRun, { faults }: Verdict): boolean {
  return faults[fault].length > 0;
}
