/** A clinic whose messages have left, written down row by row, for what patients answer to them. */
import type { Test } from 'tap';
import { fixedClock } from '../../src/clock.ts';
import type { Trx } from '../../src/database/connect.ts';
import type { ChannelName, Purpose } from '../../src/database/tables.ts';
import { withClinic } from '../../src/database/with-clinic.ts';
import type { Clinic } from '../../src/history/clinic.ts';
import { createClinic } from '../../src/history/clinic-store.ts';
import { blockedByConsent } from '../../src/history/consent-store.ts';
import { consentTerms, countryPolicy } from '../../src/history/country-policy.ts';
import { type LinkAction, signLink } from '../../src/link-token.ts';
import { type IncomingReply, recordReply } from '../../src/replies/record-reply.ts';
import { listTasks } from '../../src/replies/task-store.ts';
import { createSecrets } from '../../src/secrets.ts';
import { uuidv7 } from '../../src/uuid.ts';
import { testDatabase } from '../support/postgres.ts';

export const now = Temporal.Instant.from('2026-03-02T15:00:00Z');
export const phone = '+573012345678';
const kinds = { '+': 'phone' } as const;

export async function replyClinic(
  t: Pick<Test, 'teardown'>,
  {
    mode = 'test',
    language = 'ru',
    engine = 'postgres',
  }: {
    mode?: Clinic['mode'];
    language?: string;
    engine?: 'postgres' | 'pglite';
  } = {},
) {
  const { db } = await testDatabase(t, { engine });
  const secrets = createSecrets(Buffer.alloc(32, 3));
  const clock = fixedClock(now);
  const id = uuidv7(now);
  const run = <T>(work: (trx: Trx) => Promise<T>) => withClinic(db, id, work);
  const clinic = await run((trx) =>
    createClinic(
      trx,
      {
        id,
        name: 'Клиника <Улыбка> & Co',
        timeZone: 'America/Bogota',
        country: 'CO',
        language,
        currency: 'COP',
        mode,
        testNow: mode === 'test' ? now : null,
        settings: { phone: '+57 601 234 5678' },
      },
      now,
    ),
  );
  const made = { created_at: now, updated_at: now };
  let counter = 0;
  const next = () => `n${++counter}`;

  const patient = async ({ address = phone as string | null, language = 'es' } = {}) => {
    const patientId = uuidv7(now);
    await run(async (trx) => {
      if (address !== null) await contactPoint(trx, address);
      await trx
        .insertInto('patients')
        .values({
          clinic_id: id,
          id: patientId,
          source: 'mis',
          external_id: next(),
          is_known: true,
          language,
          sms_address: address?.startsWith('+') ? address : null,
          ...made,
        })
        .execute();
      if (address === null) return;
      await trx
        .insertInto('patient_contact_points')
        .values({ clinic_id: id, patient_id: patientId, address })
        .execute();
    });
    return patientId;
  };

  const contactPoint = (trx: Trx, address: string) =>
    trx
      .insertInto('contact_points')
      .values({ clinic_id: id, address, kind: address.startsWith('+') ? kinds['+'] : 'email' })
      .onConflict((conflict) => conflict.doNothing())
      .execute();

  const message = async ({
    patientId,
    address = phone,
    at = now.subtract({ hours: 1 }),
    purpose = 'transactional',
    channel = 'sms',
    language = null,
    guard = {},
  }: {
    patientId: string;
    address?: string | null;
    at?: Temporal.Instant;
    purpose?: Purpose;
    channel?: ChannelName;
    language?: string | null;
    guard?: object;
  }) => {
    const messageId = uuidv7(at);
    await run(async (trx) => {
      if (address !== null) await contactPoint(trx, address);
      await trx
        .insertInto('messages')
        .values({
          clinic_id: id,
          id: messageId,
          patient_id: patientId,
          purpose,
          channel,
          address,
          language,
          guard: JSON.stringify(guard),
          state: 'delivered',
          attempt_no: 1,
          client_ref: messageId,
          provider: 'sandbox',
          scheduled_at: at,
          expires_at: at.add({ hours: 24 }),
          sent_at: at,
          delivered_at: at,
          ...made,
        })
        .execute();
    });
    return messageId;
  };

  const appointment = async ({
    patientId,
    start = now.add({ hours: 48 }),
  }: {
    patientId: string;
    start?: Temporal.Instant;
  }) => {
    const externalId = next();
    await run((trx) =>
      trx
        .insertInto('appointments')
        .values({
          clinic_id: id,
          source: 'mis',
          external_id: externalId,
          patient_id: patientId,
          status: 'booked',
          start_at: start,
          booked_at: now,
          ...made,
        })
        .execute(),
    );
    return externalId;
  };

  return {
    db,
    id,
    clinic,
    clock,
    secrets,
    deps: { db, secrets, clock },
    run,
    patient,
    message,
    appointment,
    anchor: (externalId: string, revision = 1) => ({
      anchor: { kind: 'appointment', source: 'mis', id: externalId, revision },
    }),
    link: (
      messageId: string,
      action: LinkAction,
      expiresAt: Temporal.Instant = now.add({ hours: 24 * 30 }),
    ) => signLink(secrets, { clinicNumber: clinic.number, messageId, action, expiresAt }),
    answer: (reply: Partial<IncomingReply> & { text: string }) =>
      run((trx) =>
        recordReply(
          trx,
          clinic,
          { channel: 'sms', dedupeKey: next(), receivedAt: now, ...reply },
          now,
        ),
      ),
    tasks: () => run((trx) => listTasks(trx, id, { afterKey: null, limit: 100 })),
    confirmation: (externalId: string) =>
      run(async (trx) => {
        const row = await trx
          .selectFrom('appointments')
          .select(['confirmation', 'status', 'start_revision'])
          .where('clinic_id', '=', id)
          .where('external_id', '=', externalId)
          .executeTakeFirstOrThrow();
        return row;
      }),
    stamps: (messageId: string) =>
      run(async (trx) => {
        const row = await trx
          .selectFrom('messages')
          .select(['replied_at', 'clicked_at'])
          .where('clinic_id', '=', id)
          .where('id', '=', messageId)
          .executeTakeFirstOrThrow();
        return { replied: row.replied_at !== null, clicked: row.clicked_at !== null };
      }),
    replies: () =>
      run((trx) =>
        trx.selectFrom('replies').selectAll().where('clinic_id', '=', id).orderBy('id').execute(),
      ),
    marks: () =>
      run(async (trx) => {
        const rows = await trx
          .selectFrom('replan')
          .select('patient_id')
          .where('clinic_id', '=', id)
          .execute();
        return new Set(rows.map((row) => row.patient_id));
      }),
    optOuts: () =>
      run((trx) =>
        trx
          .selectFrom('opt_outs')
          .selectAll()
          .where('clinic_id', '=', id)
          .where('lifted_at', 'is', null)
          .execute(),
      ),
    mayGet: async (
      patientId: string,
      channel: ChannelName = 'sms',
      address: string | null = phone,
      purpose: Purpose = 'care',
    ) => {
      const ask = { key: 'it', patientId, address, channel, purpose };
      const terms = consentTerms(countryPolicy('CO'));
      const blocks = await run((trx) => blockedByConsent(trx, id, [ask], terms));
      return !blocks.has('it');
    },
  };
}
