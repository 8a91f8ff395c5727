import type { HostId } from '../history/host-id.ts';

/** A plan of treatment, as the host tells it whole each time. */
export interface ReadTreatment {
  key: HostId;
  patient: HostId;
  steps: TreatmentStep[];
}

export interface TreatmentStep {
  id: string;
  service: string;
  dueOn?: string | undefined;
  doneOn?: string | undefined;
}

/** What is to be done next: of the steps that are open and have a day, the earliest. */
export function nextStep(
  steps: readonly TreatmentStep[],
): { id: string; service: string; dueOn: string } | null {
  const open = steps.flatMap(({ id, service, dueOn, doneOn }) =>
    dueOn === undefined || doneOn !== undefined ? [] : [{ id, service, dueOn }],
  );
  return open.reduce<(typeof open)[number] | null>(
    (first, step) => (first === null || step.dueOn < first.dueOn ? step : first),
    null,
  );
}
