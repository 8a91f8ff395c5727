import type { Journey } from './judge.ts';
import type { PlayedZone } from './replicas.ts';

/** All that is known of one fault, line by line: what was expected, what went, and what was told of the patient. */
export function caseFile({ expected, told, seen }: PlayedZone, fault: string): string[] {
  const [, name = ''] = fault.split(': ');
  const [rule, patientId, key] = name.split(' ');
  const isIt = (one: Pick<Journey, 'rule' | 'patientId' | 'key'>) =>
    one.rule === rule && one.patientId === patientId && one.key === key;
  const concerns = (data: Readonly<Record<string, unknown>>) =>
    [data.id, data.patientId, data.into].includes(patientId);
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
