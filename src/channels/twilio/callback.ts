import { createHash, createHmac } from 'node:crypto';
import { parsePhone } from '../../phone.ts';
import { equalBytes } from '../../secrets.ts';
import type { CallbackVerdict, NormalizedEvent, ParsedCallback, RawRequest } from '../channel.ts';
import { failureOf, statusOf } from './codes.ts';
import type { TwilioConfig } from './config.ts';

/**
 * What Twilio calls back: a signed form for each status and each message that comes in. The signature has
 * no time in it; a repeated call is known by its key.
 */

export function verifyCallback(
  request: RawRequest,
  { credentials }: TwilioConfig,
): CallbackVerdict {
  const given = request.headers['x-twilio-signature'];
  if (!given) return { ok: false, reason: 'missing' };
  const signed = signedPart(request);
  if (signed === null) return { ok: false, reason: 'bad' };
  const isRight = spellings(request.url).some((url) => {
    const digest = createHmac('sha1', credentials.authToken).update(url + signed, 'utf8');
    return equalBytes(Buffer.from(digest.digest('base64')), Buffer.from(given));
  });
  return isRight ? { ok: true } : { ok: false, reason: 'bad' };
}

/** What is signed beside the address; null where the body is not the one that was signed. */
function signedPart(request: RawRequest): string | null {
  const bodyHash = URL.parse(request.url)?.searchParams.get('bodySHA256');
  if (bodyHash != null) {
    const hash = createHash('sha256').update(request.rawBody).digest('hex');
    return equalBytes(Buffer.from(hash), Buffer.from(bodyHash.toLowerCase())) ? '' : null;
  }
  if (request.method === 'GET') return '';
  const form = formOf(request);
  return [...new Set(form.keys())]
    .sort()
    .flatMap((key) => [...new Set(form.getAll(key))].sort().map((value) => key + value))
    .join('');
}

/** Twilio signs the address with its port or without, and does not tell which. */
function spellings(address: string): string[] {
  const url = URL.parse(address);
  if (url === null) return [address];
  const [, scheme, host, rest] = /^(https?:\/\/)([^/?#]+)(.*)$/.exec(address) ?? [];
  if (scheme === undefined || host === undefined || rest === undefined) return [address];
  const bare = host.replace(/:\d+$/, '');
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return [address, `${scheme}${bare}:${port}${rest}`, `${scheme}${bare}${rest}`];
}

function formOf({ method, url, rawBody }: RawRequest): URLSearchParams {
  if (method === 'GET') return URL.parse(url)?.searchParams ?? new URLSearchParams();
  return new URLSearchParams(rawBody.toString('utf8'));
}

export function parseCallback(request: RawRequest): ParsedCallback {
  const form = formOf(request);
  const field = (name: string) => form.get(name) ?? '';
  const sid = field('MessageSid') || field('SmsSid');
  const status = statusOf(field('MessageStatus') || field('SmsStatus'));
  const events =
    sid === ''
      ? []
      : status
        ? statusEvents(request, field, sid)
        : inboundEvents(request, field, sid);
  // An empty answer sends nothing back to the patient.
  const reply = { status: 200, headers: { 'content-type': 'text/xml' }, body: '<Response/>' };
  return { events, reply };
}

type Field = (name: string) => string;

function statusEvents(request: RawRequest, field: Field, sid: string): NormalizedEvent[] {
  const name = field('MessageStatus') || field('SmsStatus');
  const status = statusOf(name);
  if (status === null) return [];
  const code = /^\d{1,6}$/.test(field('ErrorCode')) ? Number(field('ErrorCode')) : 0;
  const clientRef = URL.parse(request.url)?.searchParams.get('ref') ?? '';
  return [
    {
      type: 'status',
      dedupeKey: `twilio:${sid}:${name}:${code}`,
      occurredAt: request.receivedAt,
      ...(clientRef === '' ? {} : { clientRef }),
      providerMessageId: sid,
      address: addressOf(field('To')),
      status,
      ...(status === 'failed' ? { error: failureOf(code) } : {}),
      raw: { sid, status: name, code },
    },
  ];
}

function inboundEvents(request: RawRequest, field: Field, sid: string): NormalizedEvent[] {
  const from = addressOf(field('From'));
  if (from === '') return [];
  const known = { occurredAt: request.receivedAt, raw: { sid } };
  const answered = field('OriginalRepliedMessageSid');
  const inReplyTo = answered === '' ? {} : { inReplyTo: answered };
  const payload = field('ButtonPayload');
  const events: NormalizedEvent[] = [
    {
      ...known,
      type: 'inbound',
      dedupeKey: `twilio:in:${sid}`,
      from,
      to: addressOf(field('To')),
      text: field('ButtonText') || field('Body') || '[media]',
      ...(payload === '' ? inReplyTo : { action: { id: payload, ...inReplyTo } }),
    },
  ];
  // From here on Twilio itself sends them nothing, reminders included.
  if (field('OptOutType').toUpperCase() === 'STOP') {
    events.push({
      ...known,
      type: 'suppression',
      dedupeKey: `twilio:stop:${sid}`,
      address: from,
      purposes: 'all',
      reason: 'user_stop',
    });
  }
  return events;
}

/** WhatsApp's name for a number is not always the number. */
function addressOf(theirs: string): string {
  const number = theirs.replace(/^whatsapp:/, '');
  if (number === theirs) return theirs;
  const phone = parsePhone(number);
  return phone.ok ? phone.e164 : number;
}
