import type { Journey } from './judge.ts';
import type { PlayedZone } from './replicas.ts';

/** All that is known of one fault, line by line: what was expected, what went, and what was told of the patient. */
export function caseFile({ expected, told, seen }: PlayedZone, fault: string): string[] {
  const [, name = ''] = fault.split(': ');
  const [rule, patientId, key] = name.split(' ');
  const isIt = (one: Pick<Journey, 'rule' | 'patientId' | 'key'>) =>
    one.rule === rule && one.patientId === patientId && one.key === key;
  const ofPatient = told.filter(({ data }) => data.patientId === patientId);
  const known = new Set([patientId, ...ofPatient.map(({ data }) => data.id)]);
  // A deletion names its object alone.
  const concerns = ({ id, patientId: of, into }: Readonly<Record<string, unknown>>) =>
    [id, of, into].some((each) => known.has(each));
  return [
    `expected ${JSON.stringify(expected.get(name), withInstants)}`,
    ...seen.deliveries.filter(isIt).map((each) => `went ${JSON.stringify(each, withInstants)}`),
    ...seen.journeys.filter(isIt).map((each) => `journey ${JSON.stringify(each, withInstants)}`),
    ...told
      .filter(({ data }) => concerns(data))
      .map((event) => `told ${JSON.stringify(event, withInstants)}`),
  ];
}

function withInstants(name: string, value: unknown): unknown {
  return name.endsWith('Ms') && typeof value === 'number' ? new Date(value).toISOString() : value;
}
