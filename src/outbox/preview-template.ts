import type { Channel } from '../channels/channel.ts';
import type { Trx } from '../database/connect.ts';
import type { Clinic } from '../history/clinic.ts';
import { formatMicros } from '../money.ts';
import { type ChannelDeps, effectiveChannels } from './channel-store.ts';
import type { Meetings } from './meeting-store.ts';
import {
  type Message,
  prepareText,
  type TextAsk,
  type TextTerms,
  toMessage,
  wordTexts,
} from './price-texts.ts';
import type { Addressee } from './render-message.ts';
import type { Template } from './template-store.ts';
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
  const terms = { deps, clinic, channels: await effectiveChannels(deps, trx, clinic) };
  if (patientId !== undefined) {
    const asks = [{ template, channel, patientId, at: now }];
    const [preview = null] = await previewTexts(terms, trx, asks);
    return preview;
  }
  const about = { ...madeUp(language), named: [], address: null, country: null };
  const message = toMessage({ template, channel, at: now }, about, clinic);
  return show(terms, message, madeUpMeetings(clinic, now));
}

/** In the same order; null for whoever is not there. */
export function previewTexts(
  terms: TextTerms,
  trx: Trx,
  asks: readonly TextAsk[],
): Promise<(TemplatePreview | null)[]> {
  return wordTexts(terms, trx, asks, (message, meetings) => show(terms, message, meetings));
}

function show(terms: TextTerms, message: Message, meetings: Meetings | undefined): TemplatePreview {
  const { rendered, prepared, micros } = prepareText(terms, message, meetings);
  if (!rendered.ok) return { ...nothing, warnings: [rendered.reason] };
  const { deps, clinic } = terms;
  const { template, channel } = message;
  const body = template.bodies[channel]?.[rendered.language ?? ''];
  const { subject, text, html } = rendered.content;
  const read = [subject, text, html].join('\n');
  const advice = body ? adviceOn(body, read, template.purpose, channel, clinic, deps) : [];
  return {
    subject: subject ?? null,
    text,
    html: html ?? null,
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
