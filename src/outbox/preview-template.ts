import type { Channel } from '../channels/channel.ts';
import { wordSms } from '../channels/sms-wording.ts';
import type { Trx } from '../database/connect.ts';
import type { Clinic } from '../history/clinic.ts';
import { clinicPolicy } from '../history/clinic-policy.ts';
import { formatMicros } from '../money.ts';
import { callingCode } from '../phone.ts';
import { uuidv7 } from '../uuid.ts';
import { type FoundAddressee, findAddressee } from './addressee-store.ts';
import { type ChannelDeps, effectiveChannels } from './channel-store.ts';
import { type Meetings, readMeetings } from './meeting-store.ts';
import { priceOf } from './price.ts';
import { type Addressee, bodyFor, linkFor, renderMessage } from './render-message.ts';
import type { TemplateBody } from './template.ts';
import { unmetDemands } from './template-demands.ts';
import { lintText } from './template-lint.ts';
import type { Template } from './template-store.ts';
import { primaryPart } from './template-values.ts';

/** What a template says to somebody, and what it would cost; nothing is sent. */

export interface PreviewTerms {
  channel: Channel;
  /** The language of a patient who is made up; the clinic's if absent. */
  language?: string;
  /** Ours; without it the text speaks to a patient who is made up. */
  patientId?: string;
  /** Where it would go, if that is not the patient's own. */
  address?: string | null;
  /** Who else is meant, in the order in which they are named. */
  named?: readonly string[];
}

export interface TemplatePreview {
  subject: string | null;
  /** Null where it cannot be rendered for this patient. */
  text: string | null;
  html: string | null;
  language: string | null;
  encoding: string | null;
  segments: number;
  cost: { amount: string; currency: string } | null;
  /** Stable codes: what the country asks for and the text lacks, and what the channel makes of it. */
  warnings: string[];
}

/** @returns null where there is no such patient. */
export async function previewTemplate(
  deps: ChannelDeps,
  trx: Trx,
  clinic: Clinic,
  template: Template,
  terms: PreviewTerms,
  now: Temporal.Instant,
): Promise<TemplatePreview | null> {
  const addressee =
    terms.patientId === undefined
      ? madeUp(terms.language ?? clinic.language)
      : await findAddressee(trx, clinic.id, terms.patientId, terms);
  if (addressee === null) return null;
  const named: Addressee[] = [];
  for (const id of terms.named ?? []) {
    const other = await findAddressee(trx, clinic.id, id, terms);
    if (other !== null) named.push(other);
  }
  const message = {
    ...addressee,
    named,
    id: uuidv7(now),
    channel: terms.channel,
    body: null,
    expiresAt: now.add({ hours: 24 }),
  };
  const picked = bodyFor(message, template, clinic);
  const meetings =
    terms.patientId === undefined
      ? madeUpMeetings(clinic, now)
      : await meetingsOf(trx, clinic, terms.patientId, now);
  const rendered = renderMessage(deps, clinic, message, picked, meetings, now);
  const channels = await effectiveChannels(deps, trx, clinic);
  const channel = channels.get(terms.channel);
  if (!rendered.ok) return { ...nothing, warnings: [rendered.reason] };
  const unsubscribeUrl = linkFor(deps, clinic, message, 'unsubscribe', now);
  const prepared = channel?.adapter.prepare(
    {
      id: message.id,
      clientRef: message.id,
      purpose: template.purpose,
      to: addressee.address ?? callingCode(clinic.country) ?? '',
      content: rendered.content,
      template: {
        name: template.name,
        language: rendered.language ?? clinic.language,
        values: rendered.values,
      },
      expiresAt: message.expiresAt,
      unsubscribeUrl,
    },
    channel.config,
  );
  const micros =
    channel && prepared ? priceOf(channel.tariff, addressee.country, prepared.segments) : null;
  const body = template.bodies[terms.channel]?.[rendered.language ?? ''];
  const { subject, text, html } = rendered.content;
  const read = [subject, text, html].join('\n');
  const advice = body ? adviceOn(body, read, template.purpose, terms.channel, clinic, deps) : [];
  return {
    subject: rendered.content.subject ?? null,
    text: rendered.content.text,
    html: rendered.content.html ?? null,
    language: rendered.language,
    encoding: prepared?.encoding ?? null,
    segments: prepared?.segments ?? 1,
    cost:
      micros === null
        ? null
        : { amount: formatMicros(micros, clinic.currency), currency: clinic.currency },
    warnings: [...advice, ...(prepared?.warnings ?? ['channel-paused'])],
  };
}

const nothing: Omit<TemplatePreview, 'warnings'> = Object.freeze({
  subject: null,
  text: null,
  html: null,
  language: null,
  encoding: null,
  segments: 0,
  cost: null,
});

/** What the clinic's country asks of a body that lacks it, and what nobody should be sent. */
function adviceOn(
  body: TemplateBody,
  read: string,
  purpose: Template['purpose'],
  channel: Channel,
  clinic: Clinic,
  { publicUrl }: Pick<ChannelDeps, 'publicUrl'>,
): string[] {
  const lacking = unmetDemands(body, purpose, clinicPolicy(clinic));
  const ownHosts = [new URL(publicUrl).hostname, ...(clinic.settings.websites ?? [])];
  const found = lintText(read, { channel, purpose, ownHosts });
  return [
    ...lacking.map((demand) => `lacks-${demand}`),
    // The country's own word for it is enough.
    ...found.filter((each) => each !== 'no-unsubscribe' || !lacking.includes('opt-out')),
  ];
}

export interface TemplateWarning {
  pointer: string;
  code: string;
}

/** What speaks against such texts, for the answer to saving them. */
export function templateWarnings(
  { purpose, bodies }: Pick<Template, 'purpose' | 'bodies'>,
  clinic: Clinic,
  deps: Pick<ChannelDeps, 'publicUrl'>,
): TemplateWarning[] {
  return Object.entries(bodies).flatMap(([channel, languages]) =>
    channel === 'task'
      ? []
      : Object.entries(languages).flatMap(([language, body]) => {
          const read = [body.subject, body.text, body.html].join('\n');
          const advice = adviceOn(body, read, purpose, channel as Channel, clinic, deps);
          const wording = channel === 'sms' ? smsAdvice(body.text, clinic, deps) : [];
          const pointer = `/bodies/${channel}/${language}`;
          return [...advice, ...wording].map((code) => ({ pointer, code }));
        }),
  );
}

/** As long as a name, a service or a date usually is. */
const usualValue = 'Margarita';
const linkCharacters = 43;

/** What the text costs once its names are filled in, as far as that can be known before. */
function smsAdvice(
  text: string,
  clinic: Clinic,
  { publicUrl }: Pick<ChannelDeps, 'publicUrl'>,
): string[] {
  const filled = text.replace(/\{\{\s*(link\.)?[^}]*\}\}/g, (_slot, isLink?: string) =>
    isLink ? `${publicUrl}/l/${'x'.repeat(linkCharacters)}` : usualValue,
  );
  return wordSms(filled, callingCode(clinic.country) ?? '', {}).warnings;
}

async function meetingsOf(
  trx: Trx,
  clinic: Clinic,
  patientId: string,
  now: Temporal.Instant,
): Promise<Meetings | undefined> {
  const spoken = { id: patientId, patientId, anchor: undefined };
  const meetings = await readMeetings(trx, clinic.id, [spoken], clinic.timeZone, now);
  return meetings.get(patientId);
}

function madeUp(language: string): FoundAddressee {
  const isRussian = primaryPart(language) === 'ru';
  return {
    family: isRussian ? 'Иванова' : 'Silva',
    given: isRussian ? 'Мария' : 'Maria',
    middle: isRussian ? 'Петровна' : null,
    preferred: null,
    nameText: null,
    language,
    phoneOnFile: '+12025550143',
    emailOnFile: 'maria@example.com',
    cityOnFile: isRussian ? 'Казань' : 'Lisboa',
    address: null,
    country: null,
  };
}

function madeUpMeetings(clinic: Clinic, now: Temporal.Instant): Meetings {
  const zone = clinic.timeZone;
  const today = now.toZonedDateTimeISO(zone).with({ hour: 10, minute: 0, second: 0 });
  const known = { zone, practitioner: 'Dr. Costa', service: 'Check-up', location: clinic.name };
  return {
    visit: { ...known, start: today.subtract({ days: 7 }).toInstant() },
    appointment: { ...known, start: today.add({ days: 1 }).toInstant() },
  };
}
