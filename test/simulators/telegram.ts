import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import {
  addControlRoutes,
  createControl,
  type Faults,
  listen,
  type SimulatorOptions,
} from './control.ts';
import { createPoster } from './poster.ts';

/** Telegram's Bot API as channels.md section 4.1 describes it, with its updates. */

export interface TelegramButton {
  text: string;
  callback_data: string;
}

export interface TelegramMessage {
  /** Counts up over all chats; the order in which messages were taken. */
  number: number;
  /** Of its chat. */
  messageId: number;
  chatId: string;
  text: string;
  buttons: TelegramButton[];
  atMs: number;
}

/** How a chat is refused from now on; `open` is as every chat begins. */
export type TelegramChat = 'open' | 'blocked' | 'deactivated' | 'never-started' | 'missing';

export interface TelegramOptions extends SimulatorOptions {
  botToken?: string;
  secretToken?: string;
  webhookUrl?: string;
}

export interface TelegramSimulator {
  url: string;
  messages(): readonly TelegramMessage[];
  faults(faults: Faults): void;
  chat(chatId: string, chat: TelegramChat): void;
  webhookTo(url: string | null): void;
  /** A patient writes, `/start` with what a link carried for instance. */
  say(chatId: string, text: string, answered?: TelegramMessage): void;
  /** A patient taps a button under the last message that has one of that label. */
  tap(chatId: string, label: string): void;
  /** A patient blocks the bot. */
  block(chatId: string): void;
  /** Any update. */
  tell(update: object): void;
  advance(ms: number): void;
  settled(): Promise<void>;
  clear(): void;
  close(): Promise<void>;
}

interface SendMessage {
  chat_id?: string | number;
  text?: string;
  reply_markup?: { inline_keyboard?: TelegramButton[][] };
}

const refusals: Readonly<Record<Exclude<TelegramChat, 'open'>, [number, string]>> = {
  blocked: [403, 'Forbidden: bot was blocked by the user'],
  deactivated: [403, 'Forbidden: user is deactivated'],
  'never-started': [403, "Forbidden: bot can't initiate conversation with a user"],
  missing: [400, 'Bad Request: chat not found'],
};

export async function startTelegramSimulator(
  options: TelegramOptions = {},
): Promise<TelegramSimulator> {
  const control = createControl(options, tooMany);
  const poster = createPoster(control.random);
  const chats = new Map<string, TelegramChat>();
  const counts = new Map<string, number>();
  let secretToken = options.secretToken ?? '';
  let webhookUrl = options.webhookUrl ?? null;
  let messages: TelegramMessage[] = [];
  let updates = 0;

  const app = Fastify({ bodyLimit: 1_048_576, forceCloseConnections: true });
  const refuse = (reply: FastifyReply, code: number, description: string) =>
    reply.code(code).send({ ok: false, error_code: code, description });
  const isOurs = ({ params }: FastifyRequest) => {
    const { bot } = params as { bot: string };
    return options.botToken === undefined || bot === `bot${options.botToken}`;
  };

  app.post<{ Body: SendMessage }>('/:bot/sendMessage', async (request, reply) => {
    if (await control.before(request, reply)) return reply;
    if (!isOurs(request)) return refuse(reply, 401, 'Unauthorized');
    const { text = '', chat_id } = request.body;
    const chatId = String(chat_id ?? '');
    const chat = chats.get(chatId) ?? 'open';
    if (chat !== 'open') return refuse(reply, ...refusals[chat]);
    const buttons = (request.body.reply_markup?.inline_keyboard ?? []).flat();
    const fault = faultOf(text, buttons);
    if (fault) return refuse(reply, 400, `Bad Request: ${fault}`);
    const messageId = (counts.get(chatId) ?? 0) + 1;
    counts.set(chatId, messageId);
    const taken = { messageId, chatId, text, buttons, atMs: control.nowMs() };
    messages.push({ number: messages.length + 1, ...taken });
    return control.after(request, reply) ? reply : { ok: true, result: shown(taken) };
  });
  app.post('/:bot/getMe', async (request, reply) =>
    isOurs(request)
      ? { ok: true, result: { id: 1, is_bot: true, first_name: 'Clinic' } }
      : refuse(reply, 401, 'Unauthorized'),
  );
  app.post('/:bot/getWebhookInfo', async () => ({
    ok: true,
    result: { url: webhookUrl ?? '', pending_update_count: 0 },
  }));
  app.post<{ Body: { url: string; secret_token?: string } }>(
    '/:bot/setWebhook',
    async (request) => {
      webhookUrl = request.body.url;
      secretToken = request.body.secret_token ?? '';
      return { ok: true, result: true };
    },
  );

  const date = () => Math.floor(control.nowMs() / 1000);
  const chatOf = (chatId: string) => ({ id: Number(chatId), type: 'private' });
  const shown = ({ messageId, chatId, text, buttons }: Omit<TelegramMessage, 'number'>) => ({
    message_id: messageId,
    date: date(),
    chat: chatOf(chatId),
    text,
    ...(buttons.length === 0
      ? {}
      : { reply_markup: { inline_keyboard: buttons.map((button) => [button]) } }),
  });
  const tell = (update: object) => {
    if (!webhookUrl) return;
    updates += 1;
    const secret = control.strikes('callbackBadSignature') ? 'forged' : secretToken;
    const headers = {
      'content-type': 'application/json',
      'x-telegram-bot-api-secret-token': secret,
    };
    const body = JSON.stringify({ update_id: updates, ...update });
    poster.post({ url: webhookUrl, headers, body }, control.callbackFaults());
  };
  const say = (chatId: string, text: string, answered?: TelegramMessage) => {
    chats.set(chatId, 'open');
    const messageId = (counts.get(chatId) ?? 0) + 1;
    counts.set(chatId, messageId);
    tell({
      message: {
        ...{ message_id: messageId, date: date(), chat: chatOf(chatId), text },
        from: { id: Number(chatId), is_bot: false, first_name: 'A patient' },
        ...(answered === undefined ? {} : { reply_to_message: shown(answered) }),
      },
    });
  };
  const tap = (chatId: string, label: string) => {
    const isUnder = (button: TelegramButton) => button.text === label;
    const message = messages.findLast((it) => it.chatId === chatId && it.buttons.some(isUnder));
    const button = message?.buttons.find(isUnder);
    if (!message || !button) throw new Error(`No button ${label} went to that chat.`);
    tell({
      callback_query: {
        id: `query-${updates + 1}`,
        from: { id: Number(chatId), is_bot: false, first_name: 'A patient' },
        message: shown(message),
        data: button.callback_data,
      },
    });
  };
  const block = (chatId: string) => {
    chats.set(chatId, 'blocked');
    const user = { id: Number(chatId), is_bot: false, first_name: 'A patient' };
    const [old_chat_member, new_chat_member] = ['member', 'kicked'].map((status) => ({
      user: { id: 1 },
      status,
    }));
    const change = { chat: chatOf(chatId), from: user, date: date() };
    tell({ my_chat_member: { ...change, old_chat_member, new_chat_member } });
  };
  const clear = () => {
    messages = [];
  };

  addControlRoutes(app, 'telegram', { control, messages: () => messages, clear });
  const at = '/__sim/telegram';
  app.post<{ Body: { chatId: string; chat: TelegramChat } }>(
    `${at}/chats`,
    async ({ body }, reply) => {
      if (body.chat === 'blocked') block(body.chatId);
      else chats.set(body.chatId, body.chat);
      return reply.code(204).send();
    },
  );
  app.post<{ Body: { chatId: string; text?: string; button?: string } }>(
    `${at}/replies`,
    async ({ body: { chatId, text = '', button } }, reply) => {
      if (button === undefined) say(chatId, text);
      else tap(chatId, button);
      return reply.code(204).send();
    },
  );

  const url = await listen(app, options.port);
  return {
    url,
    messages: () => messages,
    faults: control.set,
    chat: (chatId, chat) => {
      chats.set(chatId, chat);
    },
    webhookTo: (target) => {
      webhookUrl = target;
    },
    say,
    tap,
    block,
    tell,
    advance: control.advance,
    settled: poster.settled,
    clear,
    close: () => app.close(),
  };
}

function tooMany(seconds: number | undefined) {
  const after = seconds === undefined ? '' : `: retry after ${seconds}`;
  const parameters = seconds === undefined ? {} : { parameters: { retry_after: seconds } };
  return { ok: false, error_code: 429, description: `Too Many Requests${after}`, ...parameters };
}

function faultOf(text: string, buttons: readonly TelegramButton[]): string | null {
  if (text === '') return 'message text is empty';
  if (text.length > 4096) return 'message is too long';
  const areFit = buttons.every(({ text: label, callback_data: data }) => {
    const bytes = Buffer.byteLength(data);
    return label !== '' && bytes >= 1 && bytes <= 64;
  });
  return areFit ? null : 'BUTTON_DATA_INVALID';
}
