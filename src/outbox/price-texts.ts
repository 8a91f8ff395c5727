import type { Channel, PreparedMessage } from '../channels/channel.ts';
import type { Trx } from '../database/connect.ts';
import type { Clinic } from '../history/clinic.ts';
import { callingCode } from '../phone.ts';
import { uuidv7 } from '../uuid.ts';
import { findCountries, findPeople, type PersonOnFile } from './addressee-store.ts';
import type { EffectiveChannel } from './channel-store.ts';
import { type Meetings, readMeetings, type Spoken } from './meeting-store.ts';
import { priceOf } from './price.ts';
import { isPersonal } from './reach.ts';
import {
  type Addressee,
  bodyFor,
  linkFor,
  type RenderDeps,
  type RenderedMessage,
  renderMessage,
  speaksOfMeeting,
} from './render-message.ts';
import type { PickedBody, Template } from './template-store.ts';

/** What messages to be would say and cost, in the words and on the channels that they would have now; nothing is sent. */

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

export interface TextTerms {
  deps: RenderDeps;
  clinic: Clinic;
  channels: ReadonlyMap<Channel, EffectiveChannel>;
}

/** In micros of the clinic's currency, in the same order; null for what cannot be rendered, or has no price. */
export function priceTexts(
  terms: TextTerms,
  trx: Trx,
  asks: readonly TextAsk[],
): Promise<(number | null)[]> {
  return wordTexts(
    terms,
    trx,
    asks,
    (message, meetings) => prepareText(terms, message, meetings).micros,
  );
}

/** So many at once, so that others are served between. */
const batchMax = 500;

/** @returns what `tell` makes of each, in the same order; null for whoever is not there. */
export async function wordTexts<Told>(
  { clinic }: TextTerms,
  trx: Trx,
  asks: readonly TextAsk[],
  tell: (message: Message, meetings: Meetings | undefined) => Told,
): Promise<(Told | null)[]> {
  const told: (Told | null)[] = [];
  for (let at = 0; at < asks.length; at += batchMax) {
    const messages = await wordAll(trx, clinic, asks.slice(at, at + batchMax));
    const meetings = await meetingsOf(trx, clinic, messages);
    for (const message of messages) told.push(message && tell(message, meetings.get(message.id)));
  }
  return told;
}

/** Whom a text speaks to, and where it goes. */
export interface About extends Addressee {
  named: Addressee[];
  address: string | null;
  country: string | null;
}

export interface Message extends About, Pick<TextAsk, 'template' | 'channel' | 'at'> {
  id: string;
  body: null;
  picked: PickedBody | null;
  expiresAt: Temporal.Instant;
}

type Asked = Pick<TextAsk, 'patientId' | 'anchor'>;

export function toMessage(
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

/** Whoever is written to in a patient's place is written to in their own language. */
function wayOf(
  { channel, patientId, address: given = null, throughId = null }: TextAsk,
  people: ReadonlyMap<string, PersonOnFile>,
): (Addressee & { address: string | null }) | null {
  const person = people.get(patientId);
  if (person === undefined) return null;
  const own = isPersonal(channel) ? person[channel] : null;
  const address = isPersonal(channel) ? (given ?? own) : null;
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
  const spoken = speaking.map(({ id, patientId, anchor, at }) => ({ id, patientId, anchor, at }));
  const [first] = spoken;
  if (first === undefined) return new Map();
  return readMeetings(trx, clinic.id, spoken, clinic.timeZone, first.at);
}

export interface Ready {
  rendered: RenderedMessage;
  /** Null where the channel is not set up. */
  prepared: PreparedMessage | null;
  micros: number | null;
}

export function prepareText(
  { deps, clinic, channels }: TextTerms,
  message: Message,
  meetings: Meetings | undefined,
): Ready {
  const { template, picked, at } = message;
  const rendered = renderMessage(deps, clinic, message, picked, meetings, at);
  const channel = channels.get(message.channel);
  if (!rendered.ok || channel === undefined) return { rendered, prepared: null, micros: null };
  const prepared = channel.adapter.prepare(
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
      unsubscribeUrl: linkFor(deps, clinic, message, 'unsubscribe', at),
    },
    channel.config,
  );
  const micros = priceOf(channel.tariff, message.country, prepared.segments);
  return { rendered, prepared, micros };
}
