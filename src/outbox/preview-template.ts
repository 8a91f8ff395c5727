import type { Channel } from '../channels/channel.ts';
import type { Trx } from '../database/connect.ts';
import type { Clinic } from '../history/clinic.ts';
import { formatMicros } from '../money.ts';
import { callingCode } from '../phone.ts';
import { uuidv7 } from '../uuid.ts';
import { findCountries, findPeople, type PersonOnFile } from './addressee-store.ts';
import { type ChannelDeps, type EffectiveChannel, effectiveChannels } from './channel-store.ts';
import { type Meetings, readMeetings, type Spoken } from './meeting-store.ts';
import { priceOf } from './price.ts';
import {
  type Addressee,
  bodyFor,
  linkFor,
  renderMessage,
  speaksOfMeeting,
} from './render-message.ts';
import type { PickedBody, Template } from './template-store.ts';
import { primaryPart } from './template-values.ts';
import { adviceOn } from './template-warnings.ts';

/** What a template says to somebody, and what it would cost; nothing is sent. */

export interface PreviewTerms {
  channel: Channel;
  /** The language of a patient who is made up; the clinic's if absent. */
  language?: string;
  /** Ours; without it the text speaks to a patient who is made up. */
  patientId?: string;
}

/** A message to be. */
export interface TextAsk {
  template: Template;
  channel: Channel;
  /** Ours. */
  patientId: string;
  /** Where it would go, and whose that is, if not the patient's own. */
  address?: string | null;
  throughId?: string | null;
  /** Who else is meant, in the order in which they are named. */
  named?: readonly string[];
  /** What it speaks of; the last visit and the next appointment if absent. */
  anchor?: Spoken['anchor'];
  at: Temporal.Instant;
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
  { channel, patientId, language = clinic.language }: PreviewTerms,
  now: Temporal.Instant,
): Promise<TemplatePreview | null> {
  if (patientId !== undefined) {
    const asks = [{ template, channel, patientId, at: now }];
    const [preview = null] = await previewTexts(deps, trx, clinic, asks);
    return preview;
  }
  const about = { ...madeUp(language), named: [], address: null, country: null };
  const channels = await effectiveChannels(deps, trx, clinic);
  const message = toMessage({ template, channel, at: now }, about, clinic);
  return show({ deps, clinic, channels }, message, madeUpMeetings(clinic, now));
}

/** So many at once, so that others are served between. */
const batchMax = 500;

/** In the same order; null for whoever is not there. */
export async function previewTexts(
  deps: ChannelDeps,
  trx: Trx,
  clinic: Clinic,
  asks: readonly TextAsk[],
): Promise<(TemplatePreview | null)[]> {
  const channels = await effectiveChannels(deps, trx, clinic);
  const previews: (TemplatePreview | null)[] = [];
  for (let at = 0; at < asks.length; at += batchMax) {
    const messages = await wordAll(trx, clinic, asks.slice(at, at + batchMax));
    const meetings = await meetingsOf(trx, clinic, messages);
    for (const message of messages)
      previews.push(message && show({ deps, clinic, channels }, message, meetings.get(message.id)));
  }
  return previews;
}

/** Whom a text speaks to, and where it goes. */
interface About extends Addressee {
  named: Addressee[];
  address: string | null;
  country: string | null;
}

interface Message extends About, Pick<TextAsk, 'template' | 'channel' | 'at'> {
  id: string;
  body: null;
  picked: PickedBody | null;
  expiresAt: Temporal.Instant;
}

type Asked = Pick<TextAsk, 'patientId' | 'anchor'>;

function toMessage(
  { template, channel, at }: Pick<TextAsk, 'template' | 'channel' | 'at'>,
  about: About,
  clinic: Clinic,
): Message {
  const picked = bodyFor({ ...about, channel }, template, clinic);
  const expiresAt = at.add({ hours: 24 });
  return { ...about, id: uuidv7(at), body: null, template, channel, at, picked, expiresAt };
}

async function wordAll(
  trx: Trx,
  clinic: Clinic,
  asks: readonly TextAsk[],
): Promise<((Message & Asked) | null)[]> {
  const ids = asks.flatMap(({ patientId, throughId, named = [] }) => [
    patientId,
    ...(throughId == null ? [] : [throughId]),
    ...named,
  ]);
  const people = await findPeople(trx, clinic.id, [...new Set(ids)]);
  const ways = asks.map((ask) => wayOf(ask, people));
  const addresses = new Set(ways.flatMap((way) => way?.address ?? []));
  const countries = await findCountries(trx, clinic.id, [...addresses]);
  return asks.map((ask, at) => {
    const way = ways[at];
    if (way == null) return null;
    const { patientId, anchor, named = [] } = ask;
    const about = {
      ...way,
      named: named.flatMap((id) => people.get(id) ?? []),
      country: countries.get(way.address ?? '') ?? null,
    };
    return { ...toMessage(ask, about, clinic), patientId, anchor };
  });
}

const personalChannels = ['sms', 'email', 'whatsapp', 'telegram'] as const;

/** Whoever is written to in a patient's place is written to in their own language. */
function wayOf(
  { channel, patientId, address: given = null, throughId = null }: TextAsk,
  people: ReadonlyMap<string, PersonOnFile>,
): (Addressee & { address: string | null }) | null {
  const person = people.get(patientId);
  if (person === undefined) return null;
  const personal = personalChannels.find((each) => each === channel);
  const own = personal === undefined ? null : person[personal];
  const address = personal === undefined ? null : (given ?? own);
  const other = address === own || throughId === null ? undefined : people.get(throughId);
  return { ...person, language: other?.language ?? person.language, address };
}

/** What those texts speak of that speak of a meeting. */
async function meetingsOf(
  trx: Trx,
  clinic: Clinic,
  messages: readonly ((Message & Asked) | null)[],
): Promise<Map<string, Meetings>> {
  const speaking = messages.flatMap((message) =>
    message?.picked && speaksOfMeeting(message.picked) ? message : [],
  );
  const found = new Map<string, Meetings>();
  for (const [nanoseconds, group] of Map.groupBy(speaking, ({ at }) => at.epochNanoseconds)) {
    const at = Temporal.Instant.fromEpochNanoseconds(nanoseconds);
    const spoken = group.map(({ id, patientId, anchor }) => ({ id, patientId, anchor }));
    const read = await readMeetings(trx, clinic.id, spoken, clinic.timeZone, at);
    for (const [id, meetings] of read) found.set(id, meetings);
  }
  return found;
}

interface ShowTerms {
  deps: ChannelDeps;
  clinic: Clinic;
  channels: ReadonlyMap<Channel, EffectiveChannel>;
}

function show(
  { deps, clinic, channels }: ShowTerms,
  message: Message,
  meetings: Meetings | undefined,
): TemplatePreview {
  const { template, picked, at } = message;
  const rendered = renderMessage(deps, clinic, message, picked, meetings, at);
  if (!rendered.ok) return { ...nothing, warnings: [rendered.reason] };
  const channel = channels.get(message.channel);
  const unsubscribeUrl = linkFor(deps, clinic, message, 'unsubscribe', at);
  const prepared = channel?.adapter.prepare(
    {
      id: message.id,
      clientRef: message.id,
      purpose: template.purpose,
      to: message.address ?? callingCode(clinic.country) ?? '',
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
    channel && prepared ? priceOf(channel.tariff, message.country, prepared.segments) : null;
  const body = template.bodies[message.channel]?.[rendered.language ?? ''];
  const { subject, text, html } = rendered.content;
  const read = [subject, text, html].join('\n');
  const advice = body ? adviceOn(body, read, template.purpose, message.channel, clinic, deps) : [];
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

function madeUp(language: string): Addressee {
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
