import { createHmac } from 'node:crypto';
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import {
  addControlRoutes,
  createControl,
  type Faults,
  listen,
  type SimulatorOptions,
} from './control.ts';
import { createPoster } from './poster.ts';
import {
  readContent,
  type Sent,
  type Templates,
  type WhatsappButton,
  type WhatsappMessage,
} from './whatsapp-message.ts';

export type { WhatsappMessage } from './whatsapp-message.ts';

/** WhatsApp's Cloud API as channels.md section 3 describes it, with its webhook and its 24 hours. */

/**
 * What becomes of messages to a number: a code fails them after they were taken, or refuses them at once.
 * `read` comes without a `delivered`, as it does with an open chat.
 */
export type WhatsappOutcome =
  | 'delivered'
  | 'read'
  | 'silent'
  | { fail: number; thenDelivered?: boolean }
  | { refuse: number; isTransient?: boolean };

export interface WhatsappOptions extends SimulatorOptions {
  accessToken?: string;
  phoneNumberId?: string;
  appSecret?: string;
  webhookUrl?: string;
  /** What Meta has approved; any template unless told. */
  templates?: Templates;
}

export interface WhatsappSimulator {
  url: string;
  messages(): readonly WhatsappMessage[];
  faults(faults: Faults): void;
  outcome(address: string, outcome: WhatsappOutcome): void;
  /** The account as a whole is refused with that code, such as 131042 for want of money. */
  refuseAll(code: number | null): void;
  /** By what name WhatsApp knows a number, where that is another one. */
  knowAs(address: string, waId: string): void;
  webhookTo(url: string | null): void;
  /** A patient writes. */
  say(address: string, text: string, answered?: string): void;
  /** A patient taps a button under the last message that has one of that title. */
  tap(address: string, title: string, withContext?: boolean): void;
  /** Any piece of the webhook's `value`. */
  tell(value: object): void;
  advance(ms: number): void;
  settled(): Promise<void>;
  clear(): void;
  close(): Promise<void>;
}

const windowMs = 86_400_000;
const statusByCode: Readonly<Record<number, number>> = { 190: 401, 10: 403, 131000: 500 };

export async function startWhatsappSimulator(
  options: WhatsappOptions = {},
): Promise<WhatsappSimulator> {
  const control = createControl(options, () => errorOf(130429));
  const poster = createPoster(control.random);
  const outcomes = new Map<string, WhatsappOutcome>();
  const names = new Map<string, string>();
  const heardAtMs = new Map<string, number>();
  const phoneNumberId = options.phoneNumberId ?? '106540352242922';
  let webhookUrl = options.webhookUrl ?? null;
  let templates = options.templates ?? null;
  let refusedAll: number | null = null;
  let messages: WhatsappMessage[] = [];
  let heard = 0;

  const app = Fastify({ bodyLimit: 1_048_576, forceCloseConnections: true });
  const refuse = (reply: FastifyReply, code: number, more: object = {}) =>
    reply.code(statusByCode[code] ?? 400).send(errorOf(code, more));
  const waIdOf = (address: string) => names.get(address) ?? address.replace('+', '');
  /** Why a call gets nothing; null: it is right. */
  const deny = ({ headers, params }: FastifyRequest, reply: FastifyReply) => {
    const [, token] = /^Bearer (.+)$/.exec(headers.authorization ?? '') ?? [];
    const isKnown =
      options.accessToken === undefined ? Boolean(token) : token === options.accessToken;
    if (!isKnown) return refuse(reply, 190);
    const isOurs = (params as { number: string }).number === phoneNumberId;
    return isOurs ? null : refuse(reply, 100, { error_subcode: 33 });
  };

  app.post<{ Body: Sent; Params: { number: string } }>(
    '/:version/:number/messages',
    async (request, reply) => {
      if (await control.before(request, reply)) return reply;
      const denied = deny(request, reply);
      if (denied) return denied;
      if (refusedAll !== null) return refuse(reply, refusedAll);
      const content = readContent(request.body, templates);
      if (typeof content === 'number') return refuse(reply, content);
      const to = `+${(request.body.to ?? '').replace('+', '')}`;
      const outcome = outcomes.get(to) ?? 'delivered';
      if (typeof outcome === 'object' && 'refuse' in outcome) {
        const { isTransient: is_transient } = outcome;
        return refuse(reply, outcome.refuse, is_transient === undefined ? {} : { is_transient });
      }
      const message: WhatsappMessage = {
        ...content,
        number: messages.length + 1,
        clientRef: request.body.biz_opaque_callback_data ?? '',
        to,
        messageId: `wamid.SIM${messages.length + 1}`,
        atMs: control.nowMs(),
      };
      messages.push(message);
      const isAnswered = control.after(request, reply);
      tellStatuses(message, outcome);
      if (isAnswered) return reply;
      return {
        messaging_product: 'whatsapp',
        contacts: [{ input: request.body.to, wa_id: waIdOf(to) }],
        messages: [{ id: message.messageId }],
      };
    },
  );
  app.get('/:version/:number', async (request, reply) => {
    return deny(request, reply) ?? { id: phoneNumberId };
  });

  const tellStatuses = (message: WhatsappMessage, outcome: WhatsappOutcome) => {
    if (outcome === 'silent') return;
    const isOpen = control.nowMs() - (heardAtMs.get(message.to) ?? -Infinity) < windowMs;
    const late = message.type !== 'template' && !isOpen && options.limits !== false;
    const fate: WhatsappOutcome = late ? { fail: 131047 } : outcome;
    const status = (name: string, more: object = {}) =>
      tell({
        statuses: [
          {
            id: message.messageId,
            status: name,
            timestamp: seconds(),
            recipient_id: waIdOf(message.to),
            biz_opaque_callback_data: message.clientRef,
            ...more,
          },
        ],
      });
    if (typeof fate === 'object' && 'fail' in fate) {
      status('failed', { errors: [{ code: fate.fail, title: 'Simulated' }] });
      if (fate.thenDelivered) status('delivered');
      return;
    }
    const pricing = { billable: true, pricing_model: 'PMP', category: 'utility' };
    status('sent', { pricing });
    status(fate === 'read' ? 'read' : 'delivered', { pricing });
  };
  const seconds = () =>
    String(
      Math.floor(control.nowMs() / 1000) - (control.strikes('callbackOldTimestamp') ? 86_400 : 0),
    );

  const tell = (value: object) => {
    if (!webhookUrl) return;
    const metadata = { display_phone_number: '15550000000', phone_number_id: phoneNumberId };
    const whole = { messaging_product: 'whatsapp', metadata, ...value };
    const body = JSON.stringify({
      object: 'whatsapp_business_account',
      entry: [{ id: '100', changes: [{ value: whole, field: 'messages' }] }],
    });
    const secret = control.strikes('callbackBadSignature') ? 'forged' : (options.appSecret ?? '');
    const digest = createHmac('sha256', secret).update(body).digest('hex');
    const headers = {
      'content-type': 'application/json',
      'x-hub-signature-256': `sha256=${digest}`,
    };
    poster.post({ url: webhookUrl, headers, body }, control.callbackFaults());
  };
  const hear = (address: string, said: object) => {
    heard += 1;
    heardAtMs.set(address, control.nowMs());
    const from = waIdOf(address);
    const id = `wamid.IN${heard}`;
    tell({
      contacts: [{ profile: { name: 'A patient' }, wa_id: from }],
      messages: [{ from, id, timestamp: seconds(), ...said }],
    });
  };
  const say = (address: string, text: string, answered?: string) => {
    const context = answered === undefined ? {} : { context: { id: answered } };
    hear(address, { type: 'text', text: { body: text }, ...context });
  };
  const tap = (address: string, title: string, withContext = true) => {
    const isUnder = (button: WhatsappButton) => button.title === title;
    const message = messages.findLast((it) => it.to === address && it.buttons.some(isUnder));
    const button = message?.buttons.find(isUnder);
    if (!message || !button) throw new Error(`No button ${title} went to that number.`);
    const context = withContext ? { context: { from: '15550000000', id: message.messageId } } : {};
    const said =
      message.type === 'template'
        ? { type: 'button', button: { payload: button.id, text: title } }
        : { type: 'interactive', interactive: { type: 'button_reply', button_reply: button } };
    hear(address, { ...said, ...context });
  };
  const clear = () => {
    messages = [];
  };

  addControlRoutes(app, 'whatsapp', { control, messages: () => messages, clear });
  const at = '/__sim/whatsapp';
  app.post<{ Body: { address: string; outcome: WhatsappOutcome } }>(
    `${at}/outcomes`,
    async ({ body }, reply) => {
      outcomes.set(body.address, body.outcome);
      return reply.code(204).send();
    },
  );
  app.post<{ Body: Templates }>(`${at}/templates`, async ({ body }, reply) => {
    templates = body;
    return reply.code(204).send();
  });
  app.post<{ Body: { url: string } }>(`${at}/webhook`, async ({ body }, reply) => {
    webhookUrl = body.url;
    return reply.code(204).send();
  });
  app.post<{ Body: { address: string; text?: string; button?: string } }>(
    `${at}/replies`,
    async ({ body: { address, text = '', button } }, reply) => {
      if (button === undefined) say(address, text);
      else tap(address, button);
      return reply.code(204).send();
    },
  );

  const url = await listen(app, options.port);
  return {
    url,
    messages: () => messages,
    faults: control.set,
    outcome: (address, outcome) => {
      outcomes.set(address, outcome);
    },
    refuseAll: (code) => {
      refusedAll = code;
    },
    knowAs: (address, waId) => {
      names.set(address, waId);
    },
    webhookTo: (target) => {
      webhookUrl = target;
    },
    say,
    tap,
    tell,
    advance: control.advance,
    settled: poster.settled,
    clear,
    close: () => app.close(),
  };
}

function errorOf(code: number, more: object = {}): { error: object } {
  return { error: { message: 'Simulated', type: 'OAuthException', code, ...more } };
}
