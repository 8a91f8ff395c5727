/** One provider of each kind, as simulators that fail in every way and count what they took. */
import type { Channel } from '../../src/channels/channel.ts';
import type { Clock } from '../../src/clock.ts';
import { callbackId } from '../../src/outbox/channel-store.ts';
import type { Faults } from '../simulators/control.ts';
import { startSendgridSimulator } from '../simulators/sendgrid.ts';
import { startSmscSimulator } from '../simulators/smsc.ts';
import { startSmtpSimulator } from '../simulators/smtp.ts';
import { startWebhookSimulator } from '../simulators/webhook.ts';
import type { ProviderName, Taken } from './judge.ts';

export const channelOf = {
  smsc: 'sms',
  sendgrid: 'email',
  webhook: 'webhook',
  smtp: 'email',
} as const satisfies Record<ProviderName, Channel>;

/** What a clinic has to know to send through one. */
export interface Account {
  credentials: object;
  options: object;
}

export interface Providers {
  account(provider: ProviderName): Account;
  /** Sets those of all of them. */
  faults(faults: (provider: ProviderName) => Faults): void;
  /** Has what a provider tells of a clinic's messages come to that address. */
  callBack(provider: ProviderName, url: string, clinicId: string): void;
  taken(): Taken[];
  settled(): Promise<void>;
  close(): Promise<void>;
}

const smscSecret = 'chaos';
const hookSecret = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;
const smsPerCall = 20;
const sender = 'Chaos <clinic@example.org>';

export async function startProviders(seed: number, clock: Clock): Promise<Providers> {
  const smsc = await startSmscSimulator({ seed, clock });
  const sendgrid = await startSendgridSimulator({ seed: seed + 1, clock });
  const webhook = await startWebhookSimulator({ seed: seed + 2, clock, secrets: [hookSecret] });
  const smtp = await startSmtpSimulator({ seed: seed + 3 });
  const simulators = { smsc, sendgrid, webhook, smtp };
  const accounts: Record<ProviderName, Account> = {
    smsc: {
      credentials: { login: 'chaos', password: 'chaos', callbackSecret: smscSecret },
      options: { baseUrl: smsc.url, batch: smsPerCall },
    },
    sendgrid: {
      credentials: { apiKey: 'chaos', webhookPublicKey: sendgrid.publicKey },
      options: { baseUrl: sendgrid.url, sender },
    },
    webhook: { credentials: { secret: hookSecret }, options: { url: webhook.url } },
    smtp: { credentials: { url: `smtp://${smtp.host}:${smtp.port}` }, options: { sender } },
  };
  return {
    account: (provider) => accounts[provider],
    faults: (faults) => {
      for (const [name, simulator] of Object.entries(simulators))
        simulator.faults(faults(name as ProviderName));
    },
    callBack: (provider, url, clinicId) => {
      const address = `${url}/${callbackId(clinicId, channelOf[provider])}`;
      if (provider === 'smsc') smsc.callbackTo({ url: address, secret: smscSecret });
      if (provider === 'sendgrid') sendgrid.webhookTo(address);
    },
    taken: () => [
      ...smsc.messages().map(({ phone, clientRef }) => taken('smsc', `+${phone}`, clientRef)),
      ...sendgrid.messages().map(({ to, clientRef }) => taken('sendgrid', to, clientRef)),
      // The receiver counts each id once: whoever gives one message two ids has sent it twice.
      ...webhook.taken().map(({ id, json }) => taken('webhook', String(json.data?.to), id)),
      ...smtp.mails().map(({ to, clientRef }) => taken('smtp', to, clientRef)),
    ],
    settled: async () => {
      await Promise.all([smsc.settled(), sendgrid.settled(), webhook.settled()]);
    },
    close: async () => {
      await Promise.all(Object.values(simulators).map((each) => each.close()));
    },
  };
}

function taken(provider: ProviderName, address: string, clientRef: string): Taken {
  return { provider, address, clientRef };
}
