import type { Trx } from '../database/connect.ts';
import { birthdaysBetween } from '../history/birthday.ts';
import type { Clinic } from '../history/clinic.ts';
import { followingDayAtDesk, lastDayAtDesk, openingOf } from '../history/opening-hours.ts';
import { addToDay, startOfDay } from '../local-time.ts';
import {
  type AwaitedVisits,
  type BirthdaysFound,
  countWaitingThreads,
  type Feedback,
  findAwaited,
  findBirthdays,
  findFeedback,
  findOpenTasks,
  type OpenTasks,
} from './digest-store.ts';

/** What a clinic's staff should know when a day begins. */

export interface Digest {
  on: string;
  /** From the next day to the next one on which the clinic is open: before a weekend, to Monday. */
  visits: AwaitedVisits & { from: string; to: string };
  birthdays: BirthdaysFound & { from: string; to: string };
  tasks: OpenTasks;
  threads: { waiting: number };
  /** Since the clinic's last day began. */
  feedback: Feedback & { since: Temporal.Instant };
}

/** Tasks and threads are those of now, whatever the day. */
export async function readDigest(trx: Trx, clinic: Clinic, on: string): Promise<Digest> {
  const { id, timeZone } = clinic;
  const startOf = (day: string) => startOfDay(day, timeZone);
  const tomorrow = addToDay(on, 'P1D');
  const next = followingDayAtDesk(clinic, on);
  const lastBirthday = addToDay(on, 'P6D');
  const since = openingOf(clinic, lastDayAtDesk(clinic, on));
  const awaited = { from: startOf(tomorrow), until: startOf(addToDay(next, 'P1D')) };
  return {
    on,
    visits: { from: tomorrow, to: next, ...(await findAwaited(trx, id, awaited)) },
    birthdays: {
      ...{ from: on, to: lastBirthday },
      ...(await findBirthdays(trx, id, birthdaysBetween(on, lastBirthday))),
    },
    tasks: await findOpenTasks(trx, id, startOf(on)),
    threads: { waiting: await countWaitingThreads(trx, id) },
    feedback: {
      since,
      ...(await findFeedback(trx, id, { from: since, until: startOf(tomorrow) })),
    },
  };
}
