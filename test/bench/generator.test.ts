import { parsePhoneNumberFromString } from 'libphonenumber-js/max';
import t from 'tap';
import {
  answerTo,
  type GeneratorOptions,
  generateHistories,
  generateHistory,
  instantsOf,
  seenAt,
} from '../../bench/generator.ts';
import { languages, locales } from '../../bench/locales.ts';

const options: GeneratorOptions = {
  seed: 7,
  language: 'ru',
  from: Temporal.Instant.from('2023-01-01T00:00:00Z'),
  until: Temporal.Instant.from('2026-01-01T00:00:00Z'),
  patients: 400,
};

t.test('the same seed gives the same clinic, another seed another', async (t) => {
  t.same([...generateHistories(options)].at(-1), generateHistory(options, 399));
  t.notSame(generateHistory({ ...options, seed: 8 }, 1), generateHistory(options, 1));
});

for (const language of languages) {
  t.test(
    `patients of a clinic that speaks ${language} have valid numbers of its country`,
    async (t) => {
      for (const { patient } of generateHistories({ ...options, language, patients: 50 }))
        for (const { system, value } of patient.telecom) {
          if (system !== 'phone') continue;
          const number = parsePhoneNumberFromString(value);
          t.ok(number?.isValid() && number.country === locales[language].country, value);
        }
    },
  );
}

t.test('most patients come again, some stop, few are lost to other reasons', async (t) => {
  const histories = [...generateHistories(options)];
  const visits = histories.map(({ stays }) => stays.filter(({ visit }) => visit).length);
  const mean = visits.reduce((sum, count) => sum + count, 0) / visits.length;
  t.ok(mean > 3 && mean < 9, `visits a patient: ${mean}`);
  const stays = histories.flatMap((history) => history.stays);
  const share = (status: string) =>
    stays.filter(({ appointment }) => appointment?.status === status).length / stays.length;
  t.ok(share('noshow') > 0.01 && share('noshow') < 0.08);
  t.ok(share('cancelled') > 0.02 && share('cancelled') < 0.12);
  const ids = new Set(stays.flatMap(({ visit }) => (visit ? [visit.id] : [])));
  t.equal(
    ids.size,
    visits.reduce((sum, count) => sum + count, 0),
  );
});

t.test('visits lie in opening hours and after their booking', async (t) => {
  for (const { stays } of generateHistories({ ...options, patients: 100 }))
    for (const stay of stays) {
      const local = Temporal.Instant.fromEpochMilliseconds(stay.startsAt).toZonedDateTimeISO(
        'Europe/Moscow',
      );
      t.ok(local.hour >= 9 && local.hour < 18 && local.dayOfWeek !== 7, local.toString());
      t.ok(stay.bookedAt < stay.startsAt && stay.startsAt < stay.endsAt);
    }
});

t.test('a stay shows as booked until it is over or called off', async (t) => {
  const stays = [...generateHistories(options)].flatMap((history) => history.stays);
  const kept = stays.find(({ appointment, visit }) => appointment && visit);
  const off = stays.find(({ cancelledAt }) => cancelledAt !== undefined);
  if (kept === undefined || off === undefined) return t.fail('No such stay was made.');
  t.equal(seenAt(kept, kept.bookedAt - 1), null);
  t.match(seenAt(kept, kept.bookedAt), { appointment: { status: 'booked' } });
  t.match(seenAt(kept, kept.endsAt), {
    appointment: { status: 'fulfilled' },
    visit: { appointmentId: kept.appointment?.id },
  });
  t.match(seenAt(off, off.cancelledAt ?? 0), { appointment: { status: 'cancelled' } });
  t.same(instantsOf(off), [off.bookedAt, off.cancelledAt]);
});

t.test('some patients answer a message, each the same way every time', async (t) => {
  const at = options.until.epochMilliseconds;
  const message = { key: 'r1-0', at, willingness: 0.3 };
  const answers = [...generateHistories(options)].map((history) =>
    answerTo(options, history, message),
  );
  const booked = answers.filter((answer) => answer !== null);
  t.ok(booked.length > 80 && booked.length < 160, `${booked.length} of 400`);
  t.ok(booked.every(({ bookedAt, startsAt }) => at < bookedAt && bookedAt < startsAt));
  t.same(answerTo(options, generateHistory(options, 3), message), answers[3]);
});
