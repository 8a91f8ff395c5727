import { callProvider, type Fields, isFields, readJson, wholeNumber } from '../call.ts';
import type { AdapterContext, AdapterError } from '../channel.ts';
import { type Answered, statusError, unansweredError, unreadableError } from '../failure.ts';
import { meaningOf } from './codes.ts';
import type { TwilioConfig } from './config.ts';

const homeUrl = 'https://api.twilio.com';

export type TwilioAnswer =
  | { fields: Fields; answered: Answered }
  | { error: AdapterError; raw: unknown };

/** One call about our account; with a form it sends, without one it only asks. */
export async function callTwilio(
  path: string,
  form: Record<string, string> | null,
  { credentials, options }: TwilioConfig,
  context: AdapterContext,
): Promise<TwilioAnswer> {
  const { accountSid, authToken } = credentials;
  const base = (options.baseUrl ?? homeUrl).replace(/\/+$/, '');
  const basic = Buffer.from(`${accountSid}:${authToken}`).toString('base64');
  const result = await callProvider(context, {
    method: form === null ? 'GET' : 'POST',
    url: `${base}/2010-04-01/Accounts/${accountSid}${path}`,
    headers: {
      authorization: `Basic ${basic}`,
      'content-type': 'application/x-www-form-urlencoded; charset=UTF-8',
    },
    ...(form === null ? {} : { body: new URLSearchParams(form).toString() }),
  });
  if (result.kind !== 'answered') {
    return { error: unansweredError(result), raw: { reason: result.reason } };
  }
  const json = readJson(result.body);
  const fields = isFields(json) ? json : null;
  if (result.status >= 300) return refused(result, fields, context);
  if (fields) return { fields, answered: result };
  return { error: unreadableError(result), raw: { status: result.status } };
}

/** Twilio's words are left behind: they repeat the number. */
function refused(answer: Answered, fields: Fields | null, context: AdapterContext): TwilioAnswer {
  const code = wholeNumber(fields?.code);
  const byStatus = statusError(answer, context.now());
  const raw = { status: answer.status, code };
  // What fails on its side may have been taken, whatever it calls it.
  const meaning = code === null || answer.status >= 500 ? null : meaningOf(code);
  const providerCode = code === null ? null : String(code);
  if (meaning === null) return { error: { ...byStatus, providerCode }, raw };
  const { retryAfterMs } = byStatus;
  const waits = meaning.class === 'rate_limited' && retryAfterMs !== undefined;
  return {
    error: { ...meaning, ...(waits ? { retryAfterMs } : {}), httpStatus: answer.status },
    raw,
  };
}
