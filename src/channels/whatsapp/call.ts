import { callProvider, type Fields, isFields, readJson, wholeNumber } from '../call.ts';
import type { AdapterContext, AdapterError } from '../channel.ts';
import { type Answered, statusError, unansweredError, unreadableError } from '../failure.ts';
import { meaningOf } from './codes.ts';
import type { WhatsappConfig } from './config.ts';

const homeUrl = 'https://graph.facebook.com';
const versionDefault = 'v23.0';

export type WhatsappAnswer =
  | { fields: Fields; answered: Answered }
  | { error: AdapterError; raw: unknown };

/** One call about our number; without a body it only asks. */
export async function callMeta(
  path: string,
  body: object | null,
  config: WhatsappConfig,
  context: AdapterContext,
): Promise<WhatsappAnswer> {
  const { credentials, options } = config;
  const base = (options.baseUrl ?? homeUrl).replace(/\/+$/, '');
  const version = options.apiVersion ?? versionDefault;
  const result = await callProvider(context, {
    method: body === null ? 'GET' : 'POST',
    url: `${base}/${version}/${credentials.phoneNumberId}${path}`,
    headers: {
      authorization: `Bearer ${credentials.accessToken}`,
      'content-type': 'application/json',
    },
    ...(body === null ? {} : { body: JSON.stringify(body) }),
  });
  if (result.kind !== 'answered') {
    return { error: unansweredError(result), raw: { reason: result.reason } };
  }
  const json = readJson(result.body);
  if (isFields(json) && isFields(json.error)) return refused(result, json.error, context);
  if (result.status !== 200) {
    return { error: statusError(result, context.now()), raw: { status: result.status } };
  }
  if (isFields(json)) return { fields: json, answered: result };
  return { error: unreadableError(result), raw: { status: result.status } };
}

/** Meta's words are left behind: they may repeat the number. */
function refused(answer: Answered, fields: Fields, context: AdapterContext): WhatsappAnswer {
  const code = wholeNumber(fields.code);
  const subcode = wholeNumber(fields.error_subcode);
  const raw = { status: answer.status, code, subcode };
  const byStatus = statusError(answer, context.now());
  if (code === null) return { error: byStatus, raw };
  const isTransient = fields.is_transient === true;
  const meaning = meaningOf({ code, subcode, isTransient });
  if (meaning === null) return { error: { ...byStatus, providerCode: String(code) }, raw };
  const waits = byStatus.retryAfterMs !== undefined && meaning.class === 'rate_limited';
  const retryAfter = waits ? { retryAfterMs: byStatus.retryAfterMs ?? 0 } : {};
  return { error: { ...meaning, ...retryAfter, httpStatus: answer.status }, raw };
}
