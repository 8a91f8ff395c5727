import { callProvider, type Fields, isFields, readJson, textOf } from '../call.ts';
import type { AdapterContext, AdapterError } from '../channel.ts';
import { type Answered, statusError, unansweredError, unreadableError } from '../failure.ts';
import type { SmscConfig } from './config.ts';

const homeUrl = 'https://smsc.ru';

export type SmscAnswer =
  | { fields: Fields; list?: Fields[]; answered: Answered }
  | { error: AdapterError; raw: unknown };

/** One call. Even a refusal comes with status 200, and then with an `error_code`. */
export async function callSmsc(
  page: 'send.php' | 'status.php' | 'balance.php',
  parameters: Record<string, string>,
  config: SmscConfig,
  context: AdapterContext,
): Promise<SmscAnswer> {
  const { credentials, options } = config;
  const login =
    'apiKey' in credentials
      ? { apikey: credentials.apiKey }
      : { login: credentials.login, psw: credentials.password };
  const result = await callProvider(context, {
    method: 'POST',
    url: `${(options.baseUrl ?? homeUrl).replace(/\/+$/, '')}/sys/${page}`,
    headers: { 'content-type': 'application/x-www-form-urlencoded; charset=UTF-8' },
    // Without a charset it would be read as Windows-1251, and a Russian text as garbage.
    body: new URLSearchParams({ ...login, ...parameters, fmt: '3', charset: 'utf-8' }).toString(),
  });
  if (result.kind !== 'answered') {
    return { error: unansweredError(result), raw: { reason: result.reason } };
  }
  if (result.status !== 200) {
    return { error: statusError(result, context.now()), raw: { status: result.status } };
  }
  const json = readJson(result.body);
  if (Array.isArray(json)) {
    return { fields: {}, list: json.filter(isFields), answered: result };
  }
  if (isFields(json)) return { fields: json, answered: result };
  return { error: unreadableError(result), raw: { status: result.status } };
}

/** SMSC.ru leaves out the plus of a number. */
export function digitsOf(phone: unknown): string {
  return textOf(phone).replace(/^\+/, '');
}
