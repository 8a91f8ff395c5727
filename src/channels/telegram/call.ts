import { callProvider, type Fields, isFields, readJson, textOf, wholeNumber } from '../call.ts';
import type { AdapterContext, AdapterError } from '../channel.ts';
import { type Answered, statusError, unansweredError, unreadableError } from '../failure.ts';
import type { TelegramConfig } from './config.ts';

const homeUrl = 'https://api.telegram.org';

export type TelegramAnswer =
  | { result: Fields; answered: Answered }
  | { error: AdapterError; raw: unknown };

/** One call. The token is part of its address, which therefore is told to nobody. */
export async function callTelegram(
  method: 'sendMessage' | 'getMe' | 'getWebhookInfo',
  parameters: object,
  { credentials, options }: TelegramConfig,
  context: AdapterContext,
): Promise<TelegramAnswer> {
  const base = (options.baseUrl ?? homeUrl).replace(/\/+$/, '');
  const result = await callProvider(context, {
    method: 'POST',
    url: `${base}/bot${credentials.botToken}/${method}`,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(parameters),
  });
  if (result.kind !== 'answered') {
    return { error: unansweredError(result), raw: { reason: result.reason } };
  }
  const json = readJson(result.body);
  if (result.status !== 200) {
    const error = refusal(result, isFields(json) ? json : {}, context);
    return { error, raw: { status: result.status } };
  }
  if (isFields(json) && json.ok === true && isFields(json.result)) {
    return { result: json.result, answered: result };
  }
  return { error: unreadableError(result), raw: { status: result.status } };
}

type Meaning = Pick<AdapterError, 'class' | 'scope' | 'message' | 'providerCode'>;

/** Telegram tells causes only in words. */
const causes: readonly [number, RegExp, Meaning][] = [
  [
    403,
    /blocked by the user|user is deactivated|was kicked/i,
    {
      ...{ class: 'suppressed', scope: 'recipient', providerCode: 'blocked' },
      message: 'The recipient has blocked the bot or left Telegram.',
    },
  ],
  [
    403,
    /./,
    {
      ...{ class: 'recipient_permanent', scope: 'recipient', providerCode: 'forbidden' },
      message: 'The recipient has not started a chat with the bot.',
    },
  ],
  [
    400,
    /chat not found|user not found|peer_id_invalid|upgraded to a supergroup/i,
    {
      ...{ class: 'recipient_permanent', scope: 'recipient', providerCode: 'no-chat' },
      message: 'There is no such chat.',
    },
  ],
];

function refusal(answer: Answered, fields: Fields, context: AdapterContext): AdapterError {
  const description = textOf(fields.description) || '-';
  const cause = causes.find(([code, words]) => code === answer.status && words.test(description));
  if (cause) return { ...cause[2], httpStatus: answer.status };
  const error = statusError(answer, context.now());
  const seconds = isFields(fields.parameters) ? wholeNumber(fields.parameters.retry_after) : null;
  if (error.class !== 'rate_limited' || seconds === null) return error;
  return { ...error, retryAfterMs: Math.min(Math.max(seconds, 0), secondsMax) * 1000 };
}

/** Who asks for more is not believed. */
const secondsMax = 86_400;
