import type { Fault } from '../../errors.ts';
import { isCalendarPeriod, parsePeriod } from '../../local-time.ts';
import type { Trigger } from '../rule.ts';

export function required(trigger: Trigger, field: keyof Trigger): Fault[] {
  if (trigger[field] !== undefined) return [];
  const detail = `A trigger of the type ${trigger.type} needs \`${field}\`.`;
  return [{ pointer: `/trigger/${field}`, code: 'missing', detail }];
}

const problems: Record<string, string> = {
  'not-a-period': 'It is no ISO 8601 period such as P180D or PT3H.',
  'mixed-period': 'Days and hours do not mix.',
  'negative-period': 'It is negative.',
  'period-too-long': 'It is longer than ten years.',
};

/** Ten years without their leap days; `P10Y` itself is taken too. */
const longestDays = 3650;
const anyDay = Temporal.PlainDate.from('2001-01-01');

export function checkPeriod(
  text: string | undefined | null,
  pointer: string,
  { negative = 'refused', days = false }: { negative?: 'refused' | 'allowed'; days?: boolean } = {},
): Fault[] {
  if (text === undefined || text === null) return [];
  const period = parsePeriod(text, { negative });
  if (typeof period === 'string') {
    return [{ pointer, code: period, detail: problems[period] ?? 'It is no period.' }];
  }
  const hasLongUnits = period.years !== 0 || period.months !== 0;
  if (!hasLongUnits && Math.abs(period.total({ unit: 'days', relativeTo: anyDay })) > longestDays) {
    return [{ pointer, code: 'period-too-long', detail: `At most ${longestDays} days.` }];
  }
  if (days && !isCalendarPeriod(period)) {
    return [
      { pointer, code: 'calendar-period', detail: 'It counts whole days, weeks, months or years.' },
    ];
  }
  return [];
}

/** Whether a text, not checked yet, is a period of whole days. */
export function isDayPeriod(text: string | undefined): boolean {
  if (text === undefined) return false;
  const period = parsePeriod(text);
  return typeof period !== 'string' && isCalendarPeriod(period);
}
