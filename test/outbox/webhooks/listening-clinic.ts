/** A live clinic whose host listens; for tests of what becomes of its events. */
import { sql } from 'kysely';
import type { Test } from 'tap';
import { httpClient } from '../../../src/channels/http.ts';
import type { Db } from '../../../src/database/connect.ts';
import { tellHost } from '../../../src/history/host-event-store.ts';
import type { DeliverDeps } from '../../../src/outbox/webhooks/deliver.ts';
import { putWebhook, type WebhookDeps } from '../../../src/outbox/webhooks/webhook-store.ts';
import { startWebhookSimulator, type WebhookSimulator } from '../../simulators/webhook.ts';
import { clinicIn, noon, type OutboxClinic } from '../outbox-clinic.ts';

export interface ListeningClinic extends OutboxClinic {
  host: WebhookSimulator;
  deliverDeps: DeliverDeps & WebhookDeps;
  /** So many events, each in a transaction of its own, numbered from where the last ones ended. */
  happen(count: number): Promise<void>;
  /** Ids of all events, in the order in which they happened. */
  events(): Promise<string[]>;
  statesOf(webhook: string): Promise<string[]>;
  /** Whoever holds a lease is taken for dead. */
  endLeases(): Promise<void>;
}

export async function listeningClinic(t: Pick<Test, 'teardown'>, db: Db): Promise<ListeningClinic> {
  const clinic = await clinicIn(db, { withChannel: false });
  const host = await startWebhookSimulator({ clock: clinic.clock });
  const http = httpClient({ allowPrivate: true });
  t.teardown(async () => {
    await http.close();
    await host.close();
  });
  const deps = { ...clinic.deps, http };
  const wish = { name: 'mis', source: 'mis', url: host.url, events: ['feedback.*'] };
  const { secret } = await clinic.in((trx) => putWebhook(deps, trx, clinic.clinicId, wish, noon));
  host.trust([secret ?? '']);
  let happened = 0;
  return {
    ...clinic,
    host,
    deliverDeps: deps,
    happen: async (count) => {
      for (let each = 0; each < count; each += 1) {
        happened += 1;
        const event = { type: 'feedback.received', data: { number: happened } } as const;
        await clinic.in((trx) => tellHost(trx, clinic.clinicId, [event], noon));
      }
    },
    events: () =>
      clinic.in(async (trx) => {
        const rows = await trx
          .selectFrom('host_events')
          .select('id')
          .where('clinic_id', '=', clinic.clinicId)
          .orderBy('position')
          .execute();
        return rows.map(({ id }) => id);
      }),
    statesOf: (webhook) =>
      clinic.in(async (trx) => {
        const rows = await trx
          .selectFrom('webhook_deliveries')
          .select('state')
          .where('clinic_id', '=', clinic.clinicId)
          .where('webhook', '=', webhook)
          .orderBy('position')
          .execute();
        return rows.map(({ state }) => state);
      }),
    endLeases: async () => {
      await clinic.in((trx) =>
        sql`update webhooks set lease_until = clock_timestamp() - interval '1 s'
          where clinic_id = ${clinic.clinicId} and lease_until is not null`.execute(trx),
      );
    },
  };
}
