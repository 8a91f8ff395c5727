import type { MessageTemplate, RenderedContent } from '../channels/channel.ts';
import type { Clinic } from '../history/clinic.ts';
import { type LinkAction, linkActions, signLink } from '../link-token.ts';
import type { Secrets } from '../secrets.ts';
import type { GuardFacts } from './guard-store.ts';
import type { Meetings } from './meeting-store.ts';
import { namesIn, renderBody } from './template.ts';
import { type PickedBody, pickBody, type Template } from './template-store.ts';
import type { PersonName, TemplateFacts } from './template-values.ts';

/** Puts a message into words, from its template or from the host's own text. */

export interface RenderDeps {
  secrets: Secrets;
  /** Without a slash at its end. */
  publicUrl: string;
}

export type RenderedMessage =
  | {
      ok: true;
      content: RenderedContent;
      language: string | null;
      values: MessageTemplate['values'];
    }
  | { ok: false; reason: 'no-template' | 'template-data' };

/** How a person is spoken to. */
export type Addressee = Pick<
  GuardFacts,
  | 'family'
  | 'given'
  | 'middle'
  | 'preferred'
  | 'nameText'
  | 'language'
  | 'phoneOnFile'
  | 'emailOnFile'
  | 'cityOnFile'
>;

type Worded = Addressee &
  Pick<GuardFacts, 'id' | 'channel' | 'body' | 'expiresAt'> & {
    /** Who else is meant, in the order in which they are named. */
    named?: readonly Addressee[];
  };

/** The body that a message would use; null when it has none. */
export function bodyFor(
  facts: Pick<GuardFacts, 'channel' | 'language'>,
  template: Template | undefined,
  clinic: Clinic,
): PickedBody | null {
  return template ? pickBody(template, facts.channel, facts.language, clinic.language) : null;
}

/** Whether a text speaks of a visit or an appointment, which then has to be read. */
export function speaksOfMeeting({ body }: PickedBody): boolean {
  return namesIn(body).some((name) => name.startsWith('visit.') || name.startsWith('appointment.'));
}

export function renderMessage(
  deps: RenderDeps,
  clinic: Clinic,
  facts: Worded,
  picked: PickedBody | null,
  meetings: Meetings | undefined,
  now: Temporal.Instant,
): RenderedMessage {
  const words = facts.body ? ownWords(facts.body, clinic) : picked;
  if (words === null) return { ok: false, reason: 'no-template' };
  const rendered = renderBody(
    words.body,
    templateFacts(deps, clinic, facts, words, meetings, now),
    { channel: facts.channel, language: words.language },
  );
  if (!rendered.ok) return rendered;
  const content: RenderedContent = { text: rendered.text };
  if (rendered.subject !== null) content.subject = rendered.subject;
  if (rendered.html !== null) content.html = rendered.html;
  const language = facts.body ? null : words.language;
  return { ok: true, content, language, values: rendered.values };
}

/** The host's own text, in which nothing stands for anything else. */
function ownWords(body: { subject?: string; text: string }, clinic: Clinic): PickedBody {
  const subject = body.subject === undefined ? null : [body.subject];
  return { body: { subject, text: [body.text], html: null }, language: clinic.language };
}

function templateFacts(
  deps: RenderDeps,
  clinic: Clinic,
  facts: Worded,
  picked: PickedBody,
  meetings: Meetings | undefined,
  now: Temporal.Instant,
): TemplateFacts {
  return {
    patientName: nameOf(facts),
    alsoNamed: (facts.named ?? []).map(nameOf),
    clinic: {
      name: clinic.name,
      phone: clinic.settings.phone ?? null,
      address: clinic.settings.address ?? null,
    },
    onFile: { phone: facts.phoneOnFile, email: facts.emailOnFile, city: facts.cityOnFile },
    visit: meetings?.visit,
    appointment: meetings?.appointment,
    links: linksFor(deps, clinic, facts, namesIn(picked.body), now),
  };
}

function nameOf({ family, given, middle, preferred, nameText }: Addressee): PersonName {
  const hasParts = family !== null || given !== null;
  return { family, given, middle, preferred: preferred ?? (hasParts ? null : nameText) };
}

function linksFor(
  deps: RenderDeps,
  clinic: Clinic,
  facts: Worded,
  names: readonly string[],
  now: Temporal.Instant,
): Partial<Record<LinkAction, string>> {
  const used = linkActions.filter((action) => names.includes(`link.${action}`));
  return Object.fromEntries(
    used.map((action) => [action, linkFor(deps, clinic, facts, action, now)]),
  );
}

/** A patient may come back to an old message; a link lives as long as anybody may still care. */
const linkLife = Temporal.Duration.from({ hours: 24 * 90 });

/** The address of the page on which a reader acts on a message. */
export function linkFor(
  deps: RenderDeps,
  clinic: Pick<Clinic, 'number'>,
  message: Pick<GuardFacts, 'id' | 'expiresAt'>,
  action: LinkAction,
  now: Temporal.Instant,
): string {
  const fromNow = now.add(linkLife);
  const isLonger = Temporal.Instant.compare(message.expiresAt, fromNow) > 0;
  const expiresAt = isLonger ? message.expiresAt : fromNow;
  const token = signLink(deps.secrets, {
    clinicNumber: clinic.number,
    messageId: message.id,
    action,
    expiresAt,
  });
  return `${deps.publicUrl}/l/${token}`;
}
