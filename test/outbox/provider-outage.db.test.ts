/** Providers that are away for hours, without money or without a right key: their simulators, and a clock of ours. */
import type { Test } from 'tap';
import t from 'tap';
import { httpClient } from '../../src/channels/http.ts';
import { findClinic } from '../../src/history/clinic-store.ts';
import {
  type ChannelIn,
  getChannel,
  putChannel,
  resumeChannel,
} from '../../src/outbox/channel-store.ts';
import { dispatchClinic } from '../../src/outbox/dispatch.ts';
import { reconcileClinic } from '../../src/outbox/reconcile.ts';
import { startSendgridSimulator } from '../simulators/sendgrid.ts';
import { type SmscSimulator, startSmscSimulator } from '../simulators/smsc.ts';
import { type OutboxClinic, outboxClinic } from './outbox-clinic.ts';

type ProviderChannel = 'sms' | 'email';

async function liveClinic(
  t: Pick<Test, 'teardown'>,
  channel: ProviderChannel,
  wish: (clinic: OutboxClinic) => Promise<ChannelIn>,
): Promise<OutboxClinic> {
  const clinic = await outboxClinic(t, {
    withChannel: false,
    settings: { sendWindow: { start: '00:00', end: '24:00' } },
  });
  const http = httpClient({ allowPrivate: true });
  t.teardown(() => http.close());
  Object.assign(clinic.deps, { http });
  await put(clinic, channel, await wish(clinic));
  return clinic;
}

function put(
  { deps, in: within, clinicId, clock }: OutboxClinic,
  channel: ProviderChannel,
  wish: ChannelIn,
) {
  return within(async (trx) => {
    const clinic = await findClinic(trx, clinicId);
    if (clinic === null) throw new Error('The clinic is gone.');
    await putChannel(deps, trx, clinic, channel, wish, clock.now());
  });
}

function smscAt({ url }: SmscSimulator, limits: ChannelIn['limits'] = {}): ChannelIn {
  return {
    ...{ provider: 'smsc', credentials: { apiKey: 'clinic' } },
    ...{ options: { baseUrl: url, batch: 1 }, limits: { concurrency: 1, ...limits } },
  };
}

/** As dispatcher and reconciler do, once in so many minutes. */
async function live(clinic: OutboxClinic, minutes: number, step = 5): Promise<void> {
  for (let passed = 0; passed < minutes; passed += step) {
    clinic.clock.advance({ minutes: step });
    await work(clinic);
  }
}

async function work({ deps, clinicId, clock }: OutboxClinic): Promise<void> {
  await dispatchClinic(deps, clinicId, clock.now());
  await reconcileClinic(deps, clinicId, clock.now());
}

const pausedOf = async (clinic: OutboxClinic, channel: ProviderChannel) =>
  (await clinic.in((trx) => getChannel(trx, clinic.clinicId, channel)))?.paused ?? null;

async function enqueueMany(
  clinic: OutboxClinic,
  count: number,
  message: Partial<Parameters<OutboxClinic['enqueue']>[0]>,
): Promise<string[]> {
  const ids: string[] = [];
  for (let made = 0; made < count; made += 1)
    ids.push(await clinic.enqueue({ patientId: await clinic.addPatient(), ...message }));
  return ids;
}

const perSecond = 40;

t.setTimeout(60_000);

t.test(
  'after hours without a provider the backlog leaves, reminders first and each once',
  async (t) => {
    let smsc: SmscSimulator | null = null;
    const clinic = await liveClinic(t, 'sms', async ({ clock }) => {
      smsc = await startSmscSimulator({ clock });
      return smscAt(smsc, { perSecond });
    });
    const sim = smsc as unknown as SmscSimulator;
    t.teardown(() => sim.close());
    const now = clinic.clock.now();
    const calls: { atMs: number }[] = [];
    const { http } = clinic.deps;
    let isRefusing = false;
    const request: typeof http.request = async (wish) => {
      if (wish.url.includes('send.php')) calls.push({ atMs: performance.now() });
      return isRefusing ? { kind: 'not-sent', reason: 'connect' } : http.request(wish);
    };
    Object.assign(clinic.deps, { http: { ...http, request } });

    const late = now.add({ hours: 5 });
    const recalls = await enqueueMany(clinic, 60, { purpose: 'care', scheduledAt: now });
    const reminders = await enqueueMany(clinic, 20, {
      scheduledAt: late,
      expiresAt: now.add({ hours: 30 }),
    });
    const tooLate = await enqueueMany(clinic, 5, {
      scheduledAt: now,
      expiresAt: now.add({ hours: 4 }),
    });

    sim.faults({ http5xx: true });
    await live(clinic, 180);
    isRefusing = true;
    await live(clinic, 180);
    t.equal(sim.messages().length, 0);
    t.ok(calls.length < 100, `it was asked ${calls.length} times in six hours`);
    const paused = await pausedOf(clinic, 'sms');
    t.equal(paused?.reason, 'unavailable');
    t.equal(String(paused?.since), String(now.add({ minutes: 5 })), 'from the first failures on');

    isRefusing = false;
    sim.faults({});
    calls.length = 0;
    const backMs = performance.now();
    await live(clinic, 60);
    const order = sim.messages().map(({ clientRef }) => clientRef);
    t.same(order.toSorted(), [...recalls, ...reminders].toSorted(), 'each once, nothing too late');
    for (const id of tooLate) {
      const { state, settled_at } = await clinic.message(id);
      t.ok(settled_at !== null, String(state));
    }
    const [trial, ...rest] = order;
    t.ok(recalls.includes(trial ?? ''), 'a recall tried whether it works');
    t.same(
      rest.slice(0, reminders.length).toSorted(),
      reminders.toSorted(),
      'then the reminders, then the other recalls',
    );
    t.same(await pausedOf(clinic, 'sms'), null);
    // A busy machine may bring calls late and together, but none before its turn.
    const early = calls.filter(({ atMs }, turn) => atMs - backMs < (turn / perSecond) * 950);
    t.same(early, [], `${calls.length} calls, at most ${perSecond} a second`);
  },
);

t.test(
  'without money the channel rests, asks ever more seldom, and goes on by itself',
  async (t) => {
    const poor = await startSmscSimulator({ balance: 0 });
    t.teardown(() => poor.close());
    const clinic = await liveClinic(t, 'sms', async () => smscAt(poor));
    const ids = await enqueueMany(clinic, 12, { purpose: 'care' });
    let asked = 0;
    const { http } = clinic.deps;
    const request: typeof http.request = (wish) => {
      if (wish.url.includes('send.php')) asked += 1;
      return http.request(wish);
    };
    Object.assign(clinic.deps, { http: { ...http, request } });
    const warnings: object[] = [];
    Object.assign(clinic.deps.log, { warn: (about: object) => void warnings.push(about) });

    const share = await dispatchClinic(clinic.deps, clinic.clinicId, clinic.clock.now());
    t.same(share.pauses, ['refused']);
    t.match(warnings, [{ channel: 'sms', provider: 'smsc', reason: 'refused' }]);
    for (const id of ids)
      t.match(await clinic.message(id), { state: 'held', reason: 'channel-paused' });
    const since = clinic.clock.now();
    await live(clinic, 8 * 60);
    t.equal(asked, 7, 'at 0, 15, 30, 60, 120, 240 and 480 minutes');
    const paused = await pausedOf(clinic, 'sms');
    t.equal(paused?.reason, 'refused');
    t.equal(String(paused?.since), String(since), 'for the whole time');
    t.equal(poor.messages().length, 0);

    poor.topUp(1_000);
    await live(clinic, 4 * 60);
    t.same(await pausedOf(clinic, 'sms'), null);
    t.same(
      poor
        .messages()
        .map(({ clientRef }) => clientRef)
        .toSorted(),
      ids.toSorted(),
      'each once',
    );
  },
);

t.test(
  'with a dead key the channel rests until somebody gives it a new one or resumes it',
  async (t) => {
    const sendgrid = await startSendgridSimulator({ apiKey: 'right' });
    t.teardown(() => sendgrid.close());
    const wish = (apiKey: string): ChannelIn => ({
      ...{ provider: 'sendgrid', credentials: { apiKey } },
      options: { baseUrl: sendgrid.url, sender: 'Clinic <clinic@example.org>' },
      limits: { concurrency: 1 },
    });
    const clinic = await liveClinic(t, 'email', async () => wish('dead'));
    const ids: string[] = [];
    for (let count = 0; count < 4; count += 1) {
      const patientId = await clinic.addPatient();
      const address = `p${count}@example.org`;
      await clinic.in(async (trx) => {
        await trx
          .insertInto('contact_points')
          .values({ clinic_id: clinic.clinicId, address, kind: 'email' })
          .execute();
        await trx
          .updateTable('patients')
          .set({ email_address: address })
          .where('clinic_id', '=', clinic.clinicId)
          .where('id', '=', patientId)
          .execute();
      });
      ids.push(await clinic.enqueue({ patientId, channel: 'email' }));
    }
    await work(clinic);
    for (const id of ids)
      t.match(await clinic.message(id), { state: 'held', reason: 'channel-paused' });
    t.match(await pausedOf(clinic, 'email'), { reason: 'refused' });

    const resume = () =>
      clinic.in((trx) => resumeChannel(trx, clinic.clinicId, 'email', clinic.clock.now()));
    await resume();
    t.equal(await pausedOf(clinic, 'email'), null);
    await work(clinic);
    t.match(await pausedOf(clinic, 'email'), { reason: 'refused' }, 'it is as dead as before');

    await put(clinic, 'email', wish('right'));
    await work(clinic);
    t.same(await pausedOf(clinic, 'email'), null);
    t.same(
      sendgrid
        .messages()
        .map(({ clientRef }) => clientRef)
        .toSorted(),
      ids.toSorted(),
    );
  },
);
